"""Use the student of another experiment, through a link to its directory."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust borrow_student", description=__doc__)
    parser.add_argument("theirs", type=Path, help="student directory")
    parser.add_argument("out", type=Path, help="the link to make")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.recipe.borrowed import borrow_student

    borrow_student(args.theirs, args.out)


if __name__ == "__main__":
    run(main)
