"""mini/ic1, and fluent_speech_commands/ic1 on the mini corpus written in that layout."""

import shutil
import subprocess
import sys

import pytest

from espnet_robust.data.data_dir import read_data_dir

CONDITIONS = ["clean", "clip", "noise_in"]


@pytest.fixture(scope="module")
def mini(checkout, tiny, noises):
    """mini/ic1 after all stages."""
    if not shutil.which("espeak-ng"):
        pytest.skip("espeak-ng is not installed")
    recipe = checkout / "egs/mini/ic1"
    few = "--data_opts=--train_utterances 4 --dev_utterances 2 --test_utterances 2"
    tiny(recipe, "--systems", "teacher", few, *noises)
    return recipe


@pytest.fixture(scope="module")
def fluent(root, mini, tmp_path_factory):
    """It in the layout of Fluent Speech Commands."""
    out = tmp_path_factory.mktemp("fluent") / "corpus"
    tool = root / "tools/write_as_fluent_speech_commands.py"
    subprocess.run([sys.executable, tool, "data", out], cwd=mini, check=True)
    return out


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
    intents = {}
    for part in ("train", "dev", "test"):
        theirs, ours = (read_data_dir(r / f"data/{part}").tables for r in (mini, recipe))
        intents[part] = ours["utt2intent"]
        for utt, intent in ours["utt2intent"].items():
            original = utt.removeprefix(ours["utt2spk"][utt] + "-")
            assert intent == theirs["utt2intent"][original]
            assert ours["text"][utt] == theirs["text"][original]
    assert intents["dev"] and intents["test"]
    assert set(intents["dev"].values()) | set(intents["test"].values()) <= set(
        intents["train"].values()
    )


@pytest.mark.recipe
def test_unknown_classifier(checkout, run):
    done = run(checkout / "egs/mini/ic1", "--classifier", "svm")
    assert done.returncode == 1 and "classifier 'svm' is not blstm or linear" in done.stderr
