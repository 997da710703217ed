"""mini/ks1 and speech_commands/ks1: keywords, other words and silence."""

import shutil
from collections import Counter

import pytest

from espnet_robust.common.config import read_yaml
from espnet_robust.corpora.mini_keywords import KEYWORDS
from espnet_robust.corpora.speech_commands import part_of_speaker
from espnet_robust.data.data_dir import read_data_dir

CONDITIONS = ["clean", "clip", "noise_in"]


def labels(recipe, part):
    return Counter(read_data_dir(recipe / f"data/{part}").tables["utt2label"].values())


@pytest.mark.recipe
def test_mini(checkout, tiny, rows, noises):
    if not shutil.which("espeak-ng"):
        pytest.skip("espeak-ng is not installed")
    recipe = checkout / "egs/mini/ks1"
    takes = "--data_opts=--train_takes 1 --dev_takes 1 --test_takes 1"
    tiny(recipe, "--systems", "teacher", takes, *noises)
    assert labels(recipe, "test").keys() == {*KEYWORDS, "_unknown_", "_silence_"}
    table = rows(recipe / "exp/report", "accuracy")
    assert [row["condition"] for row in table] == CONDITIONS
    assert all(0 <= float(row["accuracy"]) <= 100 for row in table)


@pytest.fixture(scope="module")
def three_words(shared_data, tmp_path_factory):
    """At most 20 recordings of a word and part, in Speech Commands' layout."""
    root = tmp_path_factory.mktemp("speech_commands")
    taken = Counter()
    for file in sorted((shared_data / "speech_commands").glob("*/*.wav")):
        kind = file.parent.name, part_of_speaker(file.name.split("_")[0])
        taken[kind] += 1
        if taken[kind] <= 20:
            (root / file.parent.name).mkdir(exist_ok=True)
            shutil.copy(file, root / file.parent.name)
    return root


@pytest.mark.recipe
def test_speech_commands(checkout, tiny, rows, noises, three_words):
    recipe = checkout / "egs/speech_commands/ks1"
    tiny(
        recipe, "--speech_commands", str(three_words), "--keywords", "bed,cat",
        "--unknown_share", "0.5", "--silence_share", "0.5", "--systems", "robust_plus", *noises,
    )  # fmt: skip
    for part in ("train", "dev", "test"):
        found = labels(recipe, part)
        assert found.keys() == {"bed", "cat", "_unknown_", "_silence_"}
        assert found["_unknown_"] == found["_silence_"] == round((found["bed"] + found["cat"]) / 2)
    table = rows(recipe / "exp/report", "accuracy")
    assert [row["condition"] for row in table] == CONDITIONS
    # What the mini recipe's distill config says for this system.
    config = read_yaml(recipe / "exp/tiny/robust_plus_seed0/distill/train.yaml")
    assert config["mapping"] == "setup2" and config["target_layers"] == [4, 6]
    assert config["teacher"] == "../../mini/asr1/teacher_robust"
