"""Check a recipe's options before anything runs; print its teacher and its protocols.

On stderr stands what the run will take; a disk that is too small for it is refused.

If stages are skipped, what they left earlier must follow from the present inputs.
"""

import argparse
import os
import sys
from collections.abc import Sequence

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
from espnet_robust.recipe.options import add_plan_options, plan_of


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust check_recipe", description=__doc__)
    add_plan_options(parser)
    parser.add_argument("--stage", default="1")
    parser.add_argument("--stop_stage", default="10")
    parser.add_argument("--skipped_stages", default="", help="separated by blanks")
    parser.add_argument("--upload_hf", default="", metavar="USER/NAME")
    parser.add_argument("--systems", required=True, help="names, separated by blanks")
    parser.add_argument("--seeds", default="0", help="separated by blanks")
    parser.add_argument("--tag", default="")
    parser.add_argument("--folds", default="", help="each fold checks its own outputs")
    parser.add_argument("--nj", default="1")
    parser.add_argument("--ngpu", default="0")
    parser.add_argument("--preset", default="", help="of the hours in the recipe's conf/hours.yaml")
    parser.add_argument("--dumpdir", default="", metavar="DIR", help="what data/ will link to")
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
    if not args.protocols:
        shipped = read_noise_source(args.noise_source).protocols
        paths = [os.path.relpath(CHECKOUT / name, args.recipe) for name in shipped]
        args.protocols = " ".join(paths or ["none"])
    plan = plan_of(args)
    systems, seeds = args.systems.split(), args.seeds.split()
    settings_of("distill_args", plan.distill_args)
    settings_of(f"{plan.task}_args", plan.task_args)
    check_trainings(plan.task, systems, plan.recipe, plan.budget, plan.classifier)
    if plan.students and not plan.students.is_dir():
        raise UserError(
            f"--students {plan.students}: no such directory; it is the exp/BUDGET of another recipe"
        )
    if stages[0] <= 2:
        check_directories(args.noise_source, {name: getattr(args, name) for name in DIRECTORIES})
    from espnet_robust.recipe.sizes import report_sizes
    from espnet_robust.recipe.skipped import check_skipped, other_commits  # reads much

    if not args.folds:
        check_skipped(plan, stages, systems, seeds)
        for line in report_sizes(
            plan, stages, systems, seeds, int(args.ngpu), args.preset, args.dumpdir
        ):
            print(line, file=sys.stderr)
    if said := other_commits(plan, systems, seeds):
        print(said, file=sys.stderr)
    print(find_teacher(plan.recipe, args.teacher))
    print(args.protocols)


def _gpus(ngpu: str, stages: Sequence[int]) -> int:
    """GPUs that torch finds; what was asked for, where no stage needs any."""
    if not ngpu.isdecimal() or not int(ngpu) or not {5, 6, 7, 8} & {*stages}:
        return int(ngpu) if ngpu.isdecimal() else 0
    import torch  # seconds; only for this

    return torch.cuda.device_count()


if __name__ == "__main__":
    run(main)
