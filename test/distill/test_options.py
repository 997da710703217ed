"""ESPnet's command line with one-line refusals."""

import argparse

import pytest
from espnet2.utils.nested_dict_action import NestedDictAction

from espnet_robust.bin.distill_train import get_parser
from espnet_robust.common.errors import ConfigError
from espnet_robust.distill.options import check_keys, parse


def refused(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(get_parser(), words)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_the_command_line_goes_over_the_yaml(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text("seed: 3\nmax_epoch: 7\nstudent_conf: {num_layers: 3, init: random}\n")
    args = parse(
        get_parser(),
        ["--config", str(path), "--max_epoch", "8", "--student_conf", "num_layers=1"],
    )
    assert (args.seed, args.max_epoch) == (3, 8)
    assert args.student_conf == {"num_layers": 1, "init": "random"}
    assert parse(get_parser(), []).best_model_criterion == [("valid", "distill", "min")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed: 3\n", "train.yaml: unknown key 'sed', did you mean 'seed'?"),
        ("mapping: setup_2\n", "mapping: 'setup_2' is not one of none, setup1, setup2, same"),
        ("amp: bf32\n", "amp: 'bf32' is not one of none, bf16, fp16"),
        ("optim: adamv\n", "optim: 'adamv' is not one of"),
        ("[1, 2]\n", "expected a mapping"),
        ("a: [\n", "not valid YAML"),
        ("scheduler: onecyclelr\n", "missing 1 required positional argument: 'max_lr'"),
        ("optim_conf: {betas: 3}\n", "optim_conf: "),
        ("optim_conf: 3\n", "train.yaml: optim_conf: must be a mapping of options, got 3"),
        ("freeze_param: 5\n", "train.yaml: freeze_param: must be a list of texts, got 5"),
        ("max_cache_size: big\n", "max_cache_size or valid_max_cache_size: Failed to parse size!"),
        ("optim: adamw\noptim_conf: {lr: -1}\n", "optim_conf: Invalid learning rate: -1"),
    ],
)
def test_yaml(tmp_path, text, message):
    path = tmp_path / "train.yaml"
    path.write_text(text)
    assert message in refused("--config", str(path))


def test_null_is_an_empty_mapping(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text("optim_conf: null\nerase:\nstudent_conf: null\ndat_conf: null\n")
    args = parse(get_parser(), ["--config", str(path)])
    assert args.optim_conf == args.erase == args.student_conf == args.dat_conf == {}


def test_command_line(tmp_path):
    assert "cannot be read" in refused("--config", str(tmp_path / "none.yaml"))
    assert "unknown key 'seeed', did you mean 'seed'" in refused("--seeed", "3")
    assert "--seed: invalid int value: 'x'" in refused("--seed", "x")
    assert "--fixed_crops" in refused("--fixed_crops", "perhaps")


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["seed=3", "max_epoch=7"], "seed=3"),
        (["--max_epoch", "7", "seed=3"], "seed=3"),
        (["-seed", "3"], "-seed"),
        (["-seed=3"], "-seed=3"),
        (["seed"], "seed"),
    ],
)
def test_the_name_of_an_option_without_its_dashes(words, word):
    assert refused(*words) == f"command line: {word!r} sets nothing; write --seed VALUE"


def test_a_stray_word(tmp_path):
    (tmp_path / "train.yaml").write_text("seed: 3\n")
    for given in (["--seed", "3", "4"], ["--config", str(tmp_path / "train.yaml"), "4"]):
        assert refused(*given) == "command line: unknown key '4'"


def test_all_names_where_nothing_is_near():
    with pytest.raises(ConfigError, match="^here: unknown key 'zzzz'; known: seed, max_epoch$"):
        check_keys(["seed", "zzzz"], ["seed", "max_epoch"], "here")


def test_another_parser_keeps_its_defaults():
    parser = argparse.ArgumentParser()
    parser.add_argument("--optim", default="sgd", choices=["sgd"])
    parser.add_argument("--optim_conf", action=NestedDictAction, default={"lr": 0.1})
    parser.add_argument("--scheduler", default=None, choices=["x"])
    assert parse(parser, []).scheduler is None
