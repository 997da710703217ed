"""Print the systems of an experiment whose scores are current (made from the present inputs).

The systems asked for come first, in their order, and must be current. Other systems of the
experiment follow if they are current for all of the seeds; if not, they are named on stderr.
"""

import argparse
from collections.abc import Sequence

from espnet_robust.common.cli import Parser, run
from espnet_robust.recipe.options import add_plan_options, plan_of


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust list_systems", description=__doc__)
    add_plan_options(parser)
    parser.add_argument("--systems", required=True, help="names, separated by blanks")
    parser.add_argument("--seeds", default="0", help="separated by blanks")
    parser.add_argument(
        "--check_only", action="store_true", help="only those asked for: may they be packed?"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.recipe.skipped import check_skipped, current, others

    plan, systems, seeds = plan_of(args), args.systems.split(), args.seeds.split()
    check_skipped(plan, [10], systems, seeds)
    if args.check_only:
        return
    print(*systems, *current(plan, others(plan, systems, seeds), seeds))


if __name__ == "__main__":
    run(main)
