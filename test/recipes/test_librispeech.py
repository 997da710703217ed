"""librispeech/asr1 on a few utterances of each set, from the corpus to both tables."""

import csv
import shutil

import pytest

SETS = {"train-mini": 3, "dev-mini": 1, "test-mini": 1, "test-other-mini": 1}  # chapters of each
PROTOCOL = """\
conditions:
  noise_in: {snr_db: 10, chain: [{name: noise, noise: data/noise_test}]}
  clip: {chain: [{name: clip, overdrive_db: 15}]}
"""


@pytest.fixture(scope="module")
def librispeech(shared_data, tmp_path_factory):
    """The first utterances of a few chapters, in LibriSpeech's layout."""
    root = tmp_path_factory.mktemp("corpora") / "LibriSpeech"
    for name, chapters in SETS.items():
        for chapter in sorted((shared_data / "LibriSpeech" / name).glob("*/*"))[:chapters]:
            copy = root / name / chapter.parent.name / chapter.name
            copy.mkdir(parents=True)
            (transcript,) = chapter.glob("*.trans.txt")
            lines = transcript.read_text().splitlines(keepends=True)[:3]
            (copy / transcript.name).write_text("".join(lines))
            for line in lines:
                shutil.copy(chapter / f"{line.split()[0]}.flac", copy)
    return root


@pytest.mark.recipe
def test_two_test_sets_have_a_table_each(checkout, run, librispeech, shared_data):
    recipe = checkout / "egs/librispeech/asr1"
    (recipe / "conf/few.yaml").write_text(PROTOCOL)
    result = run(
        recipe, "--preset", "mini", "--librispeech", str(librispeech),
        "--noise", str(shared_data / "noise"), "--rir", str(shared_data / "rir"),
        "--budget", "tiny", "--systems", "distilhubert", "--protocol", "conf/few.yaml",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:] + result.stdout[-3000:]
    words = {}
    for report in ("exp/report", "exp/report/test_other"):
        with (recipe / report / "wer.csv").open() as f:
            rows = list(csv.DictReader(f))
        assert [row["condition"] for row in rows] == ["clean", "clip", "noise_in"]
        assert (recipe / report / "wer.png").exists()
        words[report] = {row["words"] for row in rows}
    assert words["exp/report"] != words["exp/report/test_other"]
