"""Split a test set by recording condition: OUT_PREFIX_NAME_GROUP for each group in a table."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust split_conditions", description=__doc__)
    parser.add_argument("--name", required=True, help="first part of the condition names")
    parser.add_argument("--table", default="utt2group", help="default: %(default)s")
    parser.add_argument("src", type=Path, metavar="SRC", help="test set to split")
    parser.add_argument(
        "out_prefix", metavar="OUT_PREFIX", help="data dir prefix, such as data/test"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.data.select import split_conditions

    for path in split_conditions(args.src, args.out_prefix, name=args.name, table=args.table):
        print(path)


if __name__ == "__main__":
    run(main)
