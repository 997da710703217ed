"""Fix data dirs: keep the utterances that all tables have, sort the tables, rewrite spk2utt.

The old versions of changed files are kept in DATA_DIR/.backup.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust data fix", description=__doc__)
    parser.add_argument(
        "data_dirs", type=Path, nargs="+", metavar="DATA_DIR", help="data dirs to fix"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.data.fix import fix_data_dir

    for path in args.data_dirs:
        for line in fix_data_dir(path) or ["nothing to fix"]:
            print(f"{path}: {line}")


if __name__ == "__main__":
    run(main)
