"""The mean accuracy over folds: OUT/scores.json from FOLD/scores.json of one system and seed."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.cli import run
from espnet_robust.score.folds import write_average


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="directory")
    parser.add_argument("folds", type=Path, nargs="+", metavar="FOLD", help="directory")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    scores = write_average(args.out, args.folds)
    print(f"{args.out}: {scores.system} seed {scores.seed}, mean of {len(args.folds)} folds")


if __name__ == "__main__":
    run(main)
