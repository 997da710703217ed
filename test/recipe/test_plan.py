from pathlib import Path

import pytest

from espnet_robust.common.experiment import Recipe
from espnet_robust.recipe.plan import Plan


@pytest.fixture
def plan(root, monkeypatch):
    """plan(task=..., ...): of the mini recipe, in its directory."""
    monkeypatch.chdir(root / "egs/mini/asr1")
    options = {"recipe": Recipe(Path()), "task": "asr", "exp": Path("exp/x"), "budget": "tiny"}
    return lambda **more: Plan(**options | more)


def test_a_distillation(plan):
    config = plan(distill_train=Path("data/a")).config("distill", "cdm1", "0")
    assert config["teacher"] == "teacher" and config["mapping"] == "setup1"
    assert config["train_data_path_and_name_and_type"] == [["data/a/wav.scp", "speech", "sound"]]
    assert config["valid_shape_file"] == ["data/dev/utt2num_samples"]
    assert plan(teacher="hub/model").config("distill", "cdm1", "0")["teacher"] == "hub/model"


def test_a_recogniser(plan):
    config = plan(tokens=Path("data/t")).config("asr", "cdm1", "3")
    assert config["frontend_conf"]["student"] == {"path": "exp/x/cdm1_seed3/student"}
    assert config["token_list"] == "data/t/tokens.txt" and config["bpemodel"] == "data/t/bpe.model"
    assert config["train_data_path_and_name_and_type"] == [
        ["data/train/wav.scp", "speech", "sound"],
        ["data/train/text", "text", "text"],
    ]
    assert plan().config("asr", "teacher", "0")["frontend_conf"]["student"] == {"hf": "teacher"}
    assert plan(token_type="char").config("asr", "logmel", "0")["bpemodel"] == "none"


def test_a_classifier(plan, tmp_path):
    (tmp_path / "slots.yaml").write_text("model_conf: {classification_type: multi-label}\n")
    config = plan(task="cls", tokens=tmp_path, label="utt2intent").config("cls", "cdm1", "0")
    assert config["model_conf"]["classification_type"] == "multi-label"
    assert config["valid_data_path_and_name_and_type"][1] == [f"{tmp_path}/dev", "label", "text"]
