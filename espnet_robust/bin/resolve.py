"""Write the whole configuration of one training, its YAML files laid over one another.

From a recipe's directory:

    espnet-robust resolve --task distill --budget short cdm1
    espnet-robust resolve --task asr --budget short --set optim_conf.lr=0.001 cdm1

It goes to standard output, or to --out, where an experiment keeps what it was begun with.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from espnet_robust.common.cli import Parser, run
from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import ConfigError
from espnet_robust.common.experiment import (
    NOT_DISTILLED,
    Recipe,
    find_teacher,
    lay_over,
    parse_settings,
    resolve,
)
from espnet_robust.common.files import write_atomic


def path(text: str) -> Path | None:
    """An option that may be empty, as options of run.sh are that nobody gave."""
    return Path(text) if text else None


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """What decides which YAML files are read."""
    parser.add_argument("--task", choices=("distill", "asr", "cls"), default="distill")
    parser.add_argument("--budget", default="short", help="YAML of conf/budget")
    parser.add_argument("--recipe", type=Path, default=Path(), help="directory (default: this one)")
    parser.add_argument(
        "--distill_config", type=path, help="default: conf/distill.yaml of the recipe, if any"
    )
    parser.add_argument(
        "--task_config", type=path, help="default: conf/TASK.yaml of the recipe, if any"
    )
    parser.add_argument("--classifier", default="linear", help="with --task cls")
    parser.add_argument("--train_set", default="train", help="data/NAME")
    parser.add_argument("--dev_set", default="dev", help="data/NAME")
    parser.add_argument("--teacher", default="", help="hub id or directory; default: its YAML's")
    parser.add_argument(
        "--asr_distortion",
        default="",
        help="with asr and cls: YAML of what is heard in training, or train: the recipe's mixture",
    )


def recipe_of(args: argparse.Namespace) -> Recipe:
    """The recipe that ``add_recipe_options`` describes."""
    return Recipe(
        args.recipe,
        args.distill_config,
        args.task_config,
        args.train_set,
        args.dev_set,
        args.asr_distortion,
    )


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust resolve", description=__doc__)
    add_recipe_options(parser)
    parser.add_argument("--train_distortion", default="", help="instead of the system's mixture")
    parser.add_argument("--dev_distortion", default="", help="default: that on development data")
    parser.add_argument("--student", default="", help="with asr and cls: the student directory")
    parser.add_argument("--train", default="", metavar="DATA_DIR", help="read in training")
    parser.add_argument("--dev", default="", metavar="DATA_DIR", help="picks the best epoch")
    parser.add_argument(
        "--labels", nargs=3, metavar=("NAME", "TRAIN", "DEV"), help="with asr and cls: tables"
    )
    parser.add_argument(
        "--layer", type=Path, help="YAML that was made from the data, such as a list of classes"
    )
    parser.add_argument(
        "--set",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="any key of the configuration; given last, or before another option",
    )
    parser.add_argument("--out", type=Path, help="file to write, once")
    parser.add_argument(
        "system", help="YAML of conf/distill; with asr and cls also teacher, logmel"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    recipe = recipe_of(args)
    overrides = lay_over(_given(args, recipe), parse_settings(args.set))
    if args.layer:
        overrides = lay_over(read_yaml(args.layer), overrides)
    config = resolve(args.task, args.system, recipe, args.budget, overrides, args.classifier)
    if args.out:
        write_once(args.out, config)
    else:
        yaml.safe_dump(config, sys.stdout, sort_keys=False, allow_unicode=True)


def _given(args: argparse.Namespace, recipe: Recipe) -> dict[str, Any]:
    """What the options say, as keys of the configuration."""
    given: dict[str, Any] = {}
    if args.task == "distill":
        given["teacher"] = args.teacher or None
        given["distortion"] = args.train_distortion or None
        given["valid_distortion"] = args.dev_distortion or None
    elif args.system not in NOT_DISTILLED:
        given["frontend_conf"] = {"student": {"path": args.student}}
    elif args.system == "teacher":
        given["frontend_conf"] = {"student": {"hf": find_teacher(recipe, args.teacher)}}
    for number, (split, data) in enumerate((("train", args.train), ("valid", args.dev)), 1):
        if data:
            sources = [[f"{data}/wav.scp", "speech", "sound"]]
            if args.labels:
                sources.append([args.labels[number], args.labels[0], "text"])
            given[f"{split}_data_path_and_name_and_type"] = sources
            given[f"{split}_shape_file"] = [f"{data}/utt2num_samples"]
    return {key: value for key, value in given.items() if value is not None}


def write_once(path: Path, config: dict) -> None:
    """Write a YAML file; where it stands already it must say the same.

    Raises:
        ConfigError: the experiment there was begun with another configuration.
    """
    if path.exists():
        if read_yaml(path) != config:
            raise ConfigError(
                f"{path}: this experiment was begun with another configuration; "
                f"delete {path.parent} to begin anew"
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


if __name__ == "__main__":
    run(main)
