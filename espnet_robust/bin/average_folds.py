"""Average accuracies over folds: OUT/SYSTEM_seedN/scores.json from those of each fold."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust average_folds", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="directory")
    parser.add_argument("--systems", required=True, help="names, separated by blanks")
    parser.add_argument("--seeds", default="0", help="separated by blanks")
    parser.add_argument(
        "folds", type=Path, nargs="+", metavar="FOLD", help="directory with SYSTEM_seedN"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.score.folds import write_average

    for system in args.systems.split():
        for seed in args.seeds.split():
            run_name = f"{system}_seed{seed}"
            write_average(args.out / run_name, [fold / run_name for fold in args.folds])
            print(f"{args.out / run_name}: mean of {len(args.folds)} folds")


if __name__ == "__main__":
    run(main)
