"""Print the complete configuration of one training, resolved from its YAML files.

From a recipe's directory:

    espnet-robust resolve --task distill --budget short cdm1
    espnet-robust resolve --task asr --budget short --set optim_conf.lr=0.001 -- cdm1

Each training of a recipe writes its configuration, with its data, to
EXP/SYSTEM_seedN/TASK/train.yaml.
"""

import argparse
import sys
from collections.abc import Sequence

import yaml

from espnet_robust.common.cli import Parser, run
from espnet_robust.common.espnet_args import settings_of
from espnet_robust.common.experiment import resolve
from espnet_robust.common.merging import lay_over, parse_settings
from espnet_robust.recipe.options import add_recipe_options, recipe_of


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust resolve", description=__doc__)
    add_recipe_options(parser)
    parser.add_argument(
        "--set",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="set any key of the configuration; put it last, or before another option",
    )
    parser.add_argument(
        "--espnet_args",
        default="",
        metavar="STRING",
        help="ESPnet options, such as '--max_epoch 5 --optim_conf lr=0.001'",
    )
    parser.add_argument(
        "system", help="YAML in conf/distill; for asr and cls also teacher or logmel"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    given = {}
    if args.task == "distill":
        options = {
            "teacher": args.teacher,
            "distortion": args.train_distortion,
            "valid_distortion": args.dev_distortion,
        }
        given = {key: value for key, value in options.items() if value}  # "" is not given
    overrides = given | parse_settings(args.set)
    overrides = lay_over(overrides, settings_of(f"{args.task}_args", args.espnet_args))
    config = resolve(
        args.task, args.system, recipe_of(args), args.budget, overrides, args.classifier
    )
    yaml.safe_dump(config, sys.stdout, sort_keys=False, allow_unicode=True)


if __name__ == "__main__":
    run(main)
