import json

import pytest

from espnet_robust.bin.score import main
from espnet_robust.common.errors import ConfigError, UserError
from espnet_robust.score.counts_file import read_counts
from espnet_robust.score.schema import read_scores


@pytest.fixture
def decoded(tmp_path, monkeypatch):
    """Two test sets of three utterances, decoded."""
    monkeypatch.chdir(tmp_path)
    ref = "u1 TURN ON THE LIGHT\nu2 STOP\nu3 OPEN THE DOOR\n"
    for data_dir in ("data/test", "data/test_noise_snr5"):
        (tmp_path / data_dir).mkdir(parents=True)
        (tmp_path / data_dir / "text").write_text(ref)
        (tmp_path / data_dir / "utt2spk").write_text("u1 s1\nu2 s1\nu3 s2\n")
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
    assert (noise.speakers, noise.missing, noise.data_dir) == (2, 0, "data/test_noise_snr5")
    assert (scores.decoded, scores.table) == ("exp/cdm2_seed0/decode", "text")
    assert clean.reference == noise.reference
    counts = read_counts("exp/cdm2_seed0/counts.tsv")["noise_snr5"]
    assert counts.ids == ("u1", "u2", "u3") and counts.speakers == ("s1", "s1", "s2")
    assert counts.words.tolist() == [[4, 0, 0, 1], [1, 0, 0, 1], [3, 0, 1, 0]]
    assert "cdm2 seed 0 clean: WER  12.50 %" in capsys.readouterr().out


def test_costs_may_be_unknown(decoded):
    (decoded / "exp/cdm2_seed0/decode/decode.json").unlink()
    score()
    assert read_scores("exp/cdm2_seed0/scores.json").params is None


def break_costs(root):
    (root / "exp/cdm2_seed0/decode/decode.json").write_text('{"params": "many"}')


def drop_hypothesis(root):
    (root / "exp/cdm2_seed0/decode/clean/text").write_text("u1 TURN ON THE LIGHT\n")


def empty_references(root):
    (root / "data/test/text").write_text("u1\nu2\nu3\n")


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
        (empty_references, "data/test/text: every reference is empty, so no rate"),
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


def test_missing_hypotheses_count_as_deleted_and_are_named(decoded, capsys):
    drop_hypothesis(decoded)
    score()
    clean = read_scores("exp/cdm2_seed0/scores.json").conditions[0]
    assert (clean.wer, clean.missing) == (50.0, 2)
    assert "2 without hypothesis: their words count as deleted" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"clean/text: no hypothesis for 2 utterances \(u2, u3\)"):
        score("--strict")


def test_empty_references_are_named(decoded, capsys):
    (decoded / "data/test/text").write_text("u1 TURN ON THE LIGHT\nu2\nu3 OPEN THE DOOR\n")
    score()
    clean = read_scores("exp/cdm2_seed0/scores.json").conditions[0]
    assert (clean.empty, clean.words, clean.errors["ins"]) == (1, 7, 1)
    assert "1 with an empty reference: insertions only" in capsys.readouterr().out


def test_hypotheses_of_unknown_utterances(decoded):
    path = decoded / "exp/cdm2_seed0/decode/clean/text"
    path.write_text(path.read_text() + "u4 STOP\n")
    with pytest.raises(UserError, match=r"clean/text: 1 utterance \(u4\) not among the reference"):
        score()


def test_normalisation_and_alignment_are_recorded(decoded):
    score("--case", "lower", "--alignment", "sclite")
    scores = read_scores("exp/cdm2_seed0/scores.json")
    assert (scores.alignment, scores.normalisation) == ("sclite", {"case": "lower"})
    made_of = json.loads((decoded / "exp/cdm2_seed0/made_of.json").read_text())["made_of"]
    assert made_of["options"]["normalisation"] == {"case": "lower"}


def test_errors_aligned_for_reading(decoded):
    score("--aligned")
    assert (decoded / "exp/cdm2_seed0/aligned.txt").read_text() == (
        "u3 clean (s2): 3 words, 1 substituted, 0 inserted, 0 deleted\n"
        "REF: OPEN THE DOOR\n"
        "HYP: OPEN A   DOOR\n"
        "          S\n"
        "\n"
        "u1 noise_snr5 (s1): 4 words, 0 substituted, 0 inserted, 1 deleted\n"
        "REF: TURN ON THE LIGHT\n"
        "HYP: TURN ** THE LIGHT\n"
        "          D\n"
        "\n"
        "u2 noise_snr5 (s1): 1 words, 0 substituted, 0 inserted, 1 deleted\n"
        "REF: STOP\n"
        "HYP: ****\n"
        "     D\n"
        "\n"
        "u3 noise_snr5 (s2): 3 words, 0 substituted, 1 inserted, 0 deleted\n"
        "REF: OPEN THE DOOR ***\n"
        "HYP: OPEN THE DOOR NOW\n"
        "                   I\n"
    )


def test_errors_aligned_are_of_these_scores(decoded, monkeypatch):
    aligned, made_of = (decoded / "exp/cdm2_seed0" / n for n in ("aligned.txt", "made_of.json"))
    score("--aligned")
    assert json.loads(made_of.read_text())["done"] and aligned.exists()
    score()
    assert not aligned.exists()

    def fail(*_):
        raise OSError("full")

    monkeypatch.setattr("espnet_robust.score.aligned.write_aligned", fail)
    with pytest.raises(OSError, match="full"):
        score("--aligned")
    assert not json.loads(made_of.read_text())["done"]


def test_what_was_done_to_the_speech(decoded):
    config = {"snr_db": 5, "chain": [{"name": "noise", "noise": "data/noise"},
                                     {"name": "rir", "rir": "data/rir"}]}  # fmt: skip
    place = decoded / "data/test_noise_snr5"
    (place / "distortion.json").write_text(json.dumps({"config": config}))
    (decoded / "data/rir").mkdir()
    (decoded / "data/rir/utt2rt60").write_text("a 0.2\nb 0.6\nc 0.9\n")
    records = (
        json.dumps({"steps": [{"kind": "rir", "rir": "data/rir", "item": item}]}) for item in "abc"
    )
    lines = (f"u{n} {record}\n" for n, record in enumerate(records, 1))
    (place / "utt2distortion").write_text("".join(lines))
    score()
    clean, noise = read_scores("exp/cdm2_seed0/scores.json").conditions
    assert (clean.meaning, clean.rt60) == ("as recorded", None)
    assert noise.meaning == "noise (data/noise) at 5 dB, then rir (data/rir)"
    assert noise.rt60 == 0.6


def test_cost_of_the_speech_model(decoded):
    path = decoded / "exp/cdm2_seed0/decode/decode.json"
    path.write_text(json.dumps({"params": 9, "speech_model_params": 5, "macs": 70}))
    score()
    scores = read_scores("exp/cdm2_seed0/scores.json")
    assert (scores.speech_model_params, scores.macs) == (5, 70)


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
    counts = read_counts("exp/cdm2_seed0/counts.tsv")["noise_snr5"]
    assert counts.words.tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]
    assert "noise_snr5: accuracy  33.33 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    "option",
    ["--aligned", "--alternatives", "--no_nfc", "--case lower", "--punctuation drop",
     "--alignment sclite", "--symbols x", "--mapping x"],
)  # fmt: skip
def test_options_of_texts_are_refused_for_labels(decoded, option):
    with pytest.raises(ConfigError, match=r"for texts; labels \(text\) are right or wrong") as e:
        score("--task", "cls", "--label", "text", "--strict", *option.split())
    assert str(e.value).startswith(option.split()[0])
    assert not (decoded / "exp/cdm2_seed0/scores.json").exists()
