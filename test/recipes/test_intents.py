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
    """A part of its recordings in the layout of Fluent Speech Commands."""
    root = tmp_path_factory.mktemp("fluent")
    for part, name in (("train", "train"), ("dev", "valid"), ("test", "test")):
        data = read_data_dir(mini / f"data/{part}")
        lines = io.StringIO()
        table = csv.writer(lines)
        table.writerow(["", "path", "speakerId", "transcription", "action", "object", "location"])
        for n, utt in enumerate(data.ids):
            speaker = data.tables["utt2spk"][utt]
            path = f"wavs/speakers/{speaker}/{utt}.wav"
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(root / path, read_audio(mini / data.wav[utt]), RATE)
            text = data.tables["text"][utt].capitalize()
            table.writerow([n, path, speaker, text, *data.tables["utt2intent"][utt].split("|")])
        (root / "data").mkdir(exist_ok=True)
        (root / f"data/{name}_data.csv").write_text(lines.getvalue())
    return root


@pytest.mark.recipe
def test_mini(mini, rows):
    table = rows(mini / "exp/report", "accuracy")
    assert [row["condition"] for row in table] == CONDITIONS


@pytest.mark.recipe
def test_fluent_speech_commands(checkout, tiny, rows, noises, mini, fluent, mini_teacher):
    recipe = checkout / "egs/fluent_speech_commands/ic1"
    tiny(
        recipe, "--fluent_speech_commands", str(fluent), "--systems", "teacher",
        *mini_teacher, *noises,
    )  # fmt: skip
    table = rows(recipe / "exp/report", "accuracy")
    assert [row["condition"] for row in table] == CONDITIONS
    for part in ("train", "dev", "test"):
        ours, theirs = (read_data_dir(r / f"data/{part}").tables for r in (mini, recipe))
        assert sorted(ours["utt2intent"].values()) == sorted(theirs["utt2intent"].values())
        assert sorted(ours["text"].values()) == sorted(theirs["text"].values())
