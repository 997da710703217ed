"""librispeech/asr1 on a few utterances of each set, from the corpus to both tables."""

import pytest


@pytest.mark.recipe
def test_two_test_sets_have_a_table_each(checkout, tiny, rows, librispeech, shared_data):
    recipe = checkout / "egs/librispeech/asr1"
    tiny(
        recipe, "--preset", "mini", "--librispeech", str(librispeech), "--systems", "distilhubert",
        "--noise", str(shared_data / "noise"), "--rir", str(shared_data / "rir"),
    )  # fmt: skip
    words = {}
    for report in ("exp/report", "exp/report/test_other"):
        table = rows(recipe / report, "wer")
        assert [row["condition"] for row in table] == ["clean", "clip", "noise_in"]
        words[report] = {row["words"] for row in table}
    assert words["exp/report"] != words["exp/report/test_other"]
