import pytest
import yaml

from espnet_robust.bin import check_recipe, resolve
from espnet_robust.common.errors import ConfigError, UserError


@pytest.fixture
def mini(root, monkeypatch):
    """In the mini recipe."""
    monkeypatch.chdir(root / "egs/mini/asr1")


def test_prints_a_configuration(mini, capsys):
    resolve.main(["--budget", "tiny", "--set", "seed=3", "student_conf.num_layers=1", "--", "cdm1"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["seed"] == 3 and config["student_conf"] == {"num_layers": 1, "init": "teacher"}
    assert config["mapping"] == "setup1" and config["teacher"] == "teacher"


def test_what_the_options_say(mini, capsys):
    resolve.main(
        ["--task", "asr", "--student", "exp/s", "--train", "data/train", "--dev", "data/dev",
         "--labels", "text", "data/train/text", "data/dev/text", "cdm1"]
    )  # fmt: skip
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["frontend_conf"]["student"] == {"path": "exp/s"}
    assert config["valid_shape_file"] == ["data/dev/utt2num_samples"]
    assert config["train_data_path_and_name_and_type"] == [
        ["data/train/wav.scp", "speech", "sound"],
        ["data/train/text", "text", "text"],
    ]


def test_a_layer_made_from_the_data_lies_under_the_settings(mini, tmp_path, capsys):
    (tmp_path / "slots.yaml").write_text("model_conf: {a: 1, b: 2}\n")
    layer = ["--layer", str(tmp_path / "slots.yaml"), "--set", "model_conf.b=3"]
    resolve.main(["--task", "cls", *layer, "--", "logmel"])
    assert yaml.safe_load(capsys.readouterr().out)["model_conf"] == {"a": 1, "b": 3}


def test_an_experiment_keeps_its_configuration(mini, tmp_path):
    out = ["--out", str(tmp_path / "exp/train.yaml")]
    resolve.main([*out, "cdm1"])
    resolve.main([*out, "cdm1"])
    before = (tmp_path / "exp/train.yaml").read_bytes()
    with pytest.raises(ConfigError, match="begun with another configuration"):
        resolve.main([*out, "cdm2"])
    assert (tmp_path / "exp/train.yaml").read_bytes() == before


def test_checks_a_recipe_and_says_its_teacher_and_protocols(mini, capsys):
    check_recipe.main(["--task", "asr", "--systems", "teacher cdm1"])
    assert capsys.readouterr().out == "teacher\n../../../conf/distortion/mini_test.yaml\n"
    recorded = ["--noise_source", "paper_train", "--stage", "3", "--teacher", "hub/model"]
    check_recipe.main(["--task", "asr", "--systems", "cdm1", *recorded])
    assert capsys.readouterr().out == "hub/model\nnone\n"


def test_directories_are_wanted_until_they_are_read(mini):
    with pytest.raises(UserError, match="noise_source esc10 needs --noise DIR"):
        check_recipe.main(["--task", "asr", "--systems", "cdm1", "--noise_source", "esc10"])
    with pytest.raises(UserError, match="--students none: no such directory"):
        check_recipe.main(["--task", "asr", "--systems", "cdm1", "--students", "none"])


def test_espnets_options_go_into_the_configuration(mini, capsys):
    args = "--max_epoch 3 --num_iters_per_epoch 7 --optim_conf lr=0.5"
    resolve.main(["--task", "asr", "--budget", "tiny", f"--espnet_args={args}", "logmel"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["max_epoch"] == 3 and config["optim_conf"]["lr"] == 0.5
    assert config["scheduler_conf"]["total_steps"] == 21
    assert config["scheduler_conf"]["max_lr"] == 0.5
