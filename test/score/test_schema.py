import json

import pytest

from espnet_robust.common.errors import UserError
from espnet_robust.score.counts import score_text
from espnet_robust.score.schema import ConditionScore, Scores, read_scores, write_scores


def asr_scores():
    clean = ConditionScore(
        "clean", 3, words=10, errors={"sub": 1, "ins": 0, "del": 1}, wer=20.0, cer=5.0
    )
    noise = ConditionScore("noise_snr10", 3, snr_db=10.0, wer=42.5)
    return Scores("asr", "cdm2", 0, (clean, noise), params=850000, rtf=0.01, threads=1)


def test_what_is_written_is_read(tmp_path):
    write_scores(tmp_path / "scores.json", asr_scores())
    assert read_scores(tmp_path / "scores.json") == asr_scores()


def test_layout_on_disk(tmp_path):
    write_scores(tmp_path / "scores.json", asr_scores())
    content = json.loads((tmp_path / "scores.json").read_text())
    assert content["schema"] == 2
    assert content["conditions"][0]["errors"] == {"sub": 1, "ins": 0, "del": 1}
    assert content["conditions"][0]["snr_db"] is None
    assert content["conditions"][0]["accuracy"] is None


def test_classification_leaves_error_rates_out(tmp_path):
    scores = Scores("cls", "cdm2", 0, (ConditionScore("clean", 50, accuracy=92.0),))
    write_scores(tmp_path / "scores.json", scores)
    assert read_scores(tmp_path / "scores.json") == scores


def test_of_text():
    score = ConditionScore.of_text("clean", score_text({"u": "a b"}, {"u": "a c"}), speakers=1)
    assert score.char_errors == {"sub": 1, "ins": 0, "del": 0}
    assert (score.words, score.wer, score.cer) == (2, 50.0, pytest.approx(100 / 3))
    assert score.errors == {"sub": 1, "ins": 0, "del": 0}


def change(content, **changes):
    content.update(changes)


def change_condition(content, **changes):
    content["conditions"][0].update(changes)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: change(c, schema=99), "schema 99, this version reads 2; score the system again"),
        (lambda c: change(c, schema=1), "schema 1, this version reads 2; score the system again"),
        (lambda c: c.pop("schema"), "schema None"),
        (lambda c: change(c, alignment="best"), "alignment or normalisation is not one of"),
        (lambda c: change(c, decoded="a\nb"), "decoded must be a line of text"),
        (lambda c: change_condition(c, missing=-1), "missing must be a whole number in [0, inf]"),
        (lambda c: c.pop("system"), "missing keys ['system']"),
        (lambda c: change(c, wers=1), "unknown keys ['wers']"),
        (lambda c: change(c, conditions=3), "'conditions' must be a list of objects"),
        (lambda c: change(c, conditions=[]), "no conditions in it"),
        (lambda c: change(c, seed="0"), "seed must be a whole number, not '0'"),
        (lambda c: change(c, params=0), "params must be a whole number in [1, inf], not 0"),
        (lambda c: change(c, system="a|b"), "system must be text without"),
        (lambda c: change_condition(c, wer=-1), "condition 'clean': wer must be a number in"),
        (lambda c: change_condition(c, wer=3.0), "wer 3.0 disagrees with errors / words, 20.00"),
        (lambda c: change_condition(c, accuracy=101), "accuracy must be a number in [0, 100]"),
        (lambda c: change_condition(c, errors={"sub": 1}), "errors must be counts of sub, ins"),
        (lambda c: change_condition(c, name="noise_snr10"), "conditions more than once: noise"),
    ],
)
def test_bad_content_is_one_line(tmp_path, edit, message):
    path = tmp_path / "scores.json"
    write_scores(path, asr_scores())
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError) as e:
        read_scores(path)
    assert message in str(e.value)
    assert str(e.value).startswith(f"{path}: ")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"schema": 2, "rtf": NaN}'])
def test_not_an_object(tmp_path, text):
    path = tmp_path / "scores.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"scores\.json: "):
        read_scores(path)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_scores(tmp_path / "scores.json")
