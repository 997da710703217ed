import json

import pytest

from espnet_robust.bin.score import main
from espnet_robust.common.errors import UserError
from espnet_robust.score.schema import read_counts, read_scores


@pytest.fixture
def decoded(tmp_path, monkeypatch):
    """Two test sets of three utterances, decoded."""
    monkeypatch.chdir(tmp_path)
    ref = "u1 TURN ON THE LIGHT\nu2 STOP\nu3 OPEN THE DOOR\n"
    for data_dir in ("data/test", "data/test_noise_snr5"):
        (tmp_path / data_dir).mkdir(parents=True)
        (tmp_path / data_dir / "text").write_text(ref)
    condition = {"name": "noise_snr5", "snr_db": 5}
    (tmp_path / "data/test_noise_snr5/condition.json").write_text(json.dumps(condition))
    decode = tmp_path / "exp/cdm2_seed0/decode"
    for name, hyp in [
        ("clean", "u1 TURN ON THE LIGHT\nu2 STOP\nu3 OPEN A DOOR\n"),
        ("noise_snr5", "u1 TURN THE LIGHT\nu2\nu3 OPEN THE DOOR NOW\n"),
    ]:
        (decode / name).mkdir(parents=True)
        (decode / name / "text").write_text(hyp)
    costs = {"params": 850000, "rtf": 0.012, "audio_seconds": 9.5, "threads": 1,
             "device": "cpu"}  # fmt: skip
    (decode / "decode.json").write_text(json.dumps(costs))
    return tmp_path


def score(*extra, data=("data/test", "data/test_noise_snr5")):
    options = ["--system", "cdm2", "--seed", "0", "--decode_dir", "exp/cdm2_seed0/decode"]
    main([*options, "--out", "exp/cdm2_seed0/scores.json", *extra, *data])


def test_scores_of_two_conditions(decoded, capsys):
    score()
    scores = read_scores("exp/cdm2_seed0/scores.json")
    assert (scores.system, scores.seed, scores.params, scores.rtf) == ("cdm2", 0, 850000, 0.012)
    assert (scores.threads, scores.device) == (1, "cpu")
    clean, noise = scores.conditions
    assert (clean.name, clean.snr_db, clean.words, clean.wer) == ("clean", None, 8, 12.5)
    assert (noise.name, noise.snr_db, noise.wer) == ("noise_snr5", 5, 37.5)
    assert noise.errors == {"sub": 0, "ins": 1, "del": 2}
    assert read_counts("exp/cdm2_seed0/counts.tsv")["noise_snr5"]["u2"] == (1, 1)
    assert "cdm2 seed 0 clean: WER  12.50 %" in capsys.readouterr().out


def test_costs_may_be_unknown(decoded):
    (decoded / "exp/cdm2_seed0/decode/decode.json").unlink()
    score()
    assert read_scores("exp/cdm2_seed0/scores.json").params is None


def break_costs(root):
    (root / "exp/cdm2_seed0/decode/decode.json").write_text('{"params": "many"}')


def drop_hypothesis(root):
    (root / "exp/cdm2_seed0/decode/clean/text").write_text("u1 TURN ON THE LIGHT\n")


def drop_condition(root):
    (root / "exp/cdm2_seed0/decode/clean/text").unlink()


def drop_references(root):
    (root / "data/test/text").unlink()


def break_condition(root):
    (root / "data/test/condition.json").write_text('{"snr_db": 3}')


def same_condition(root):
    (root / "data/test_noise_snr5/condition.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (break_costs, "params must be a whole number"),
        (drop_hypothesis, "clean/text: no hypothesis for 2 utterances (u2, u3) of 3"),
        (drop_condition, "clean/text: cannot be read: No such file"),
        (drop_references, "data/test/text: cannot be read: No such file"),
        (break_condition, "data/test/condition.json: None cannot name a condition"),
        (same_condition, "data/test_noise_snr5: condition 'clean' was scored already"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(decoded, spoil, message):
    spoil(decoded)
    with pytest.raises(UserError) as e:
        score()
    assert message in str(e.value)
    assert "\n" not in str(e.value)
    assert not (decoded / "exp/cdm2_seed0/scores.json").exists()


def test_missing_test_set(decoded):
    with pytest.raises(UserError, match="data/nothing: no such data dir"):
        score(data=["data/nothing"])


def test_missing_hypotheses_count_if_asked_to(decoded):
    drop_hypothesis(decoded)
    score("--missing", "delete")
    assert read_scores("exp/cdm2_seed0/scores.json").conditions[0].wer == 50.0


def test_labels_are_right_or_wrong(decoded, capsys):
    ref = "u1 on|lights|none\nu2 off|lamp|none\nu3 on|lamp|hall\n"
    hyps = {"clean": ref, "noise_snr5": ref.replace("hall", "none").replace("off", "on")}
    for data_dir in ("data/test", "data/test_noise_snr5"):
        (decoded / data_dir / "utt2intent").write_text(ref)
    for name, hyp in hyps.items():
        (decoded / "exp/cdm2_seed0/decode" / name / "utt2intent").write_text(hyp)
    score("--task", "cls", "--label", "utt2intent")
    scores = read_scores("exp/cdm2_seed0/scores.json")
    clean, noise = scores.conditions
    assert (scores.task, clean.accuracy, clean.wer, clean.words) == ("cls", 100.0, None, None)
    assert (noise.utterances, noise.snr_db) == (3, 5)
    assert noise.accuracy == pytest.approx(100 / 3)  # one wrong slot is a wrong label
    assert read_counts("exp/cdm2_seed0/counts.tsv")["noise_snr5"] == {
        "u1": (1, 0),
        "u2": (1, 1),
        "u3": (1, 1),
    }
    assert "noise_snr5: accuracy  33.33 %" in capsys.readouterr().out
