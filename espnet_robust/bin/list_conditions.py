"""Print the data dirs of a test set: undistorted speech, if any, then the other conditions."""

import argparse
from collections.abc import Sequence

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust list_conditions", description=__doc__)
    parser.add_argument("--first", action="store_true", help="only the first data dir of each")
    parser.add_argument("test_set", nargs="+", help="data dir, such as data/test")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.data.conditions import condition_dirs

    for test_set in args.test_set:
        print(*condition_dirs(test_set)[: 1 if args.first else None], sep="\n")


if __name__ == "__main__":
    run(main)
