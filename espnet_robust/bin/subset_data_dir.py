"""Write selected utterances of a data dir to a new one."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run
from espnet_robust.common.errors import UserError


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust data subset", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--first", type=int, metavar="N", help="the first N utterances, at least 1")
    which.add_argument(
        "--utt_list", type=Path, metavar="FILE", help="utterances named in FILE, one id per line"
    )
    parser.add_argument("src", type=Path, metavar="SRC", help="data dir to select from")
    parser.add_argument("dst", type=Path, metavar="DST", help="data dir to write")
    return parser


def read_ids(path: Path) -> list[str]:
    """The first word of each line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise UserError(f"{path}: cannot be read: {e}") from None
    return [line.split()[0] for line in lines if line.strip()]


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    if args.first is not None and args.first < 1:
        raise UserError(f"--first {args.first}: need a number of utterances of at least 1")
    from espnet_robust.data.select import subset_data_dir

    ids = None if args.utt_list is None else read_ids(args.utt_list)
    chosen = subset_data_dir(args.src, args.dst, ids=ids, first=args.first)
    print(f"{args.dst}: {len(chosen.ids)} utterances")


if __name__ == "__main__":
    run(main)
