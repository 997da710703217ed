"""mini/ic1, and fluent_speech_commands/ic1 on the mini corpus written in that layout."""

import csv
import io
import shutil

import pytest
import soundfile

from espnet_robust.audio import RATE, read_audio
from espnet_robust.data_dir import read_data_dir

CONDITIONS = ["clean", "clip", "noise_in"]


@pytest.fixture(scope="module")
def mini(checkout, tiny, noises):
    """mini/ic1 after all stages."""
    if not shutil.which("espeak-ng"):
        pytest.skip("espeak-ng is not installed")
    recipe = checkout / "egs/mini/ic1"
    few = "--data_opts=--train-utterances 4 --dev-utterances 2 --test-utterances 2"
    tiny(recipe, "--systems", "teacher", few, *noises)
    return recipe


@pytest.fixture(scope="module")
def fluent(mini, tmp_path_factory):
    """Its training recordings in the layout of Fluent Speech Commands.

    There every intent occurs in training: of each with three recordings or more, one is for valid
    and one for test.
    """
    data = read_data_dir(mini / "data/train")
    tables = data.tables
    same: dict[str, list[str]] = {}
    for utt, intent in tables["utt2intent"].items():
        same.setdefault(intent, []).append(utt)
    held_out = [utts for utts in same.values() if len(utts) >= 3]
    valid, test = {utts[0] for utts in held_out}, {utts[1] for utts in held_out}
    train = set(data.ids) - valid - test
    root = tmp_path_factory.mktemp("fluent")
    (root / "data").mkdir()
    for name, utts in (("train", train), ("valid", valid), ("test", test)):
        lines = io.StringIO()
        table = csv.writer(lines)
        table.writerow(["", "path", "speakerId", "transcription", "action", "object", "location"])
        for n, utt in enumerate(sorted(utts)):
            speaker = tables["utt2spk"][utt]
            path = f"wavs/speakers/{speaker}/{utt}.wav"
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(root / path, read_audio(mini / data.wav[utt]), RATE)
            text = tables["text"][utt].capitalize()
            table.writerow([n, path, speaker, text, *tables["utt2intent"][utt].split("|")])
        (root / f"data/{name}_data.csv").write_text(lines.getvalue())
    return root


@pytest.mark.recipe
def test_mini(mini, rows):
    table = rows(mini / "exp/report", "accuracy")
    assert [row["condition"] for row in table] == CONDITIONS
    assert "encoder: blstm" in (mini / "exp/tiny/teacher_seed0/cls/config.yaml").read_text()


@pytest.mark.recipe
def test_fluent_speech_commands(checkout, tiny, rows, noises, mini, fluent, mini_teacher):
    recipe = checkout / "egs/fluent_speech_commands/ic1"
    tiny(
        recipe, "--fluent_speech_commands", str(fluent), "--systems", "teacher",
        *mini_teacher, *noises,
    )  # fmt: skip
    table = rows(recipe / "exp/report", "accuracy")
    assert [row["condition"] for row in table] == CONDITIONS
    theirs = read_data_dir(mini / "data/train").tables
    ours = [read_data_dir(recipe / f"data/{part}").tables for part in ("train", "dev", "test")]
    assert len(ours[1]["text"]) == len(ours[2]["text"]) > 0
    for table in ("text", "utt2intent"):
        found = sorted(entry for tables in ours for entry in tables[table].values())
        assert found == sorted(theirs[table].values())


@pytest.mark.recipe
def test_unknown_classifier(checkout, run):
    done = run(checkout / "egs/mini/ic1", "--classifier", "svm")
    assert done.returncode == 1 and "classifier 'svm' is not linear or blstm" in done.stderr
