"""Combine data dirs into one; all utterance ids must differ."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust data combine", description=__doc__)
    parser.add_argument("srcs", type=Path, nargs="+", metavar="SRC", help="data dirs to combine")
    parser.add_argument("dst", type=Path, metavar="DST", help="data dir to write")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.data.select import combine_data_dirs

    combined = combine_data_dirs(args.srcs, args.dst)
    print(f"{args.dst}: {len(combined.ids)} utterances")


if __name__ == "__main__":
    run(main)
