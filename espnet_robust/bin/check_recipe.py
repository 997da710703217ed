"""Check a recipe's options before anything runs; print its teacher, then its protocols."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.bin.resolve import add_recipe_options, recipe_of
from espnet_robust.common.cli import Parser, run
from espnet_robust.common.errors import UserError
from espnet_robust.common.espnet_args import settings_of
from espnet_robust.common.experiment import CHECKOUT, find_teacher
from espnet_robust.common.recipe import (
    DIRECTORIES,
    check_directories,
    check_names,
    check_numbers,
    check_seeds,
    check_trainings,
    read_noise_source,
    wanted_stages,
)
from espnet_robust.publish.hub import check_upload


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust check_recipe", description=__doc__)
    add_recipe_options(parser)
    parser.add_argument("--stage", default="1")
    parser.add_argument("--stop_stage", default="10")
    parser.add_argument("--skipped_stages", default="", help="separated by blanks")
    parser.add_argument("--distill_args", default="", help="options of ESPnet's training")
    parser.add_argument("--task_args", default="", help="likewise, of the recogniser's")
    parser.add_argument("--upload_hf", default="", metavar="USER/NAME")
    parser.add_argument("--systems", required=True, help="names, separated by blanks")
    parser.add_argument("--seeds", default="0", help="separated by blanks")
    parser.add_argument("--test_sets", default="test", help="separated by blanks")
    parser.add_argument("--tag", default="")
    parser.add_argument("--students", default="", help="directory with students to take")
    parser.add_argument("--nj", default="1")
    parser.add_argument("--ngpu", default="0")
    parser.add_argument("--noise_source", default="synthetic")
    for name in DIRECTORIES:
        parser.add_argument(f"--{name}", default="", metavar="DIR")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    stages = wanted_stages(args.stage, args.stop_stage, args.skipped_stages)
    check_upload(args.upload_hf, stages)
    check_numbers(args.nj, args.ngpu, _gpus(args.ngpu, stages))
    check_seeds(args.seeds.split())
    for option in ("systems", "train_set", "dev_set", "test_sets"):
        check_names(option, getattr(args, option).split())
    if args.tag:
        check_names("tag", args.tag.split("/"))
    settings_of("distill_args", args.distill_args)
    settings_of(f"{args.task}_args", args.task_args)
    recipe = recipe_of(args)
    check_trainings(args.task, args.systems.split(), recipe, args.budget, args.classifier)
    if args.students and not Path(args.students).is_dir():
        raise UserError(
            f"--students {args.students}: no such directory; it is the exp/BUDGET of another recipe"
        )
    if stages[0] <= 2:
        check_directories(args.noise_source, {name: getattr(args, name) for name in DIRECTORIES})
    print(find_teacher(recipe, args.teacher))
    protocols = read_noise_source(args.noise_source).protocols
    paths = [os.path.relpath(CHECKOUT / name, args.recipe) for name in protocols]
    print(*paths or ["none"])


def _gpus(ngpu: str, stages: Sequence[int]) -> int:
    """GPUs that torch finds; what was asked for, where no stage needs any."""
    if not ngpu.isdecimal() or not int(ngpu) or not {5, 6, 7, 8} & {*stages}:
        return int(ngpu) if ngpu.isdecimal() else 0
    import torch  # seconds; only for this

    return torch.cuda.device_count()


if __name__ == "__main__":
    run(main)
