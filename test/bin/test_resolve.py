import pytest
import yaml

from espnet_robust.bin import check_recipe, resolve
from espnet_robust.common import recipe
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


def test_null_is_a_value_and_an_empty_option_is_none(mini, capsys):
    given = ["--teacher", "", "--train_distortion", "", "--set", "seed=null", "--", "cdm1"]
    resolve.main(["--budget", "tiny", *given])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["seed"] is None and config["teacher"] == "teacher" and config["distortion"]


def test_checks_a_recipe_and_says_its_teacher_and_protocols(mini, capsys):
    check_recipe.main(["--task", "asr", "--systems", "teacher cdm1"])
    assert capsys.readouterr().out == "teacher\n../../../conf/distortion/mini_test.yaml\n\n"
    recorded = ["--noise_source", "paper_train", "--stage", "3", "--teacher", "hub/model"]
    check_recipe.main(["--task", "asr", "--systems", "cdm1", *recorded])
    assert capsys.readouterr().out == "hub/model\nnone\n\n"
    cached = "--distill_args=--target_cache cache --fixed_crops true"
    check_recipe.main(["--task", "asr", "--systems", "teacher cdm1 logmel", cached])
    assert capsys.readouterr().out.splitlines()[2] == "cdm1"


@pytest.mark.parametrize("options", ["--metod beam", "--method beam --ctc_weight 3"])
def test_decoding_is_checked_before_anything_runs(mini, options):
    with pytest.raises(ConfigError, match="unrecognized arguments: --metod|got 10 and 3.0"):
        check_recipe.main(["--task", "asr", "--systems", "cdm1", f"--decode_options={options}"])


def test_gpus_of_what_runs_side_by_side(mini, capsys, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    options = ["--task", "asr", "--systems", "teacher cdm1", "--ngpu", "2", "--nj", "3"]
    check_recipe.main(options)
    assert capsys.readouterr().out.splitlines()[3:] == ["0,1 2,3 0,1", "0 1 2"]
    check_recipe.main([*options, "--cluster", "slurm", "--dry_run", "true"])
    assert not capsys.readouterr().out.splitlines()[3:]


def test_corpora_of_noises_are_checked_before_anything_runs(mini, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "CONF", tmp_path)
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise/mine.yaml").write_text("{data: [{corpus: musn}], protocols: []}")
    with pytest.raises(ConfigError, match="mine.yaml: data: unknown corpus 'musn', did you mean"):
        check_recipe.main(["--task", "asr", "--systems", "cdm1", "--noise_source", "mine"])


def test_directories_are_wanted_until_they_are_read(mini):
    with pytest.raises(UserError, match="noise_source esc10 needs --noise DIR"):
        check_recipe.main(["--task", "asr", "--systems", "cdm1", "--noise_source", "esc10"])
    with pytest.raises(UserError, match="--students none: no such directory"):
        check_recipe.main(["--task", "asr", "--systems", "cdm1", "--students", "none"])


def test_the_example_of_its_help(mini, capsys):
    example = "--max_epoch 5 --optim_conf lr=0.001"
    assert f"'{example}'" in " ".join(resolve.get_parser().format_help().split())
    resolve.main(["--task", "asr", "--budget", "tiny", "--espnet_args", example, "logmel"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["max_epoch"] == 5 and config["optim_conf"]["lr"] == 0.001


def test_espnets_options_go_into_the_configuration(mini, capsys):
    args = "--max_epoch 3 --num_iters_per_epoch 7 --optim_conf lr=0.5"
    resolve.main(["--task", "asr", "--budget", "tiny", f"--espnet_args={args}", "logmel"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["max_epoch"] == 3 and config["optim_conf"]["lr"] == 0.5
    assert config["scheduler_conf"]["total_steps"] == 21
    assert config["scheduler_conf"]["max_lr"] == 0.5
