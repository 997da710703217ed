"""Make a recipe's data/ a link to another directory, such as one on a large disk."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run
from espnet_robust.common.recipe import check_dumpdir


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust link_data", description=__doc__)
    parser.add_argument("--recipe", type=Path, default=Path(), help="directory (default: this one)")
    parser.add_argument("directory", type=Path, help="created if necessary")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    link_data(args.recipe / "data", args.directory)


def link_data(data: Path, directory: Path) -> None:
    """Make ``data`` a link to ``directory``. Raises UserError as ``check_dumpdir`` does."""
    check_dumpdir(data, directory)
    directory.mkdir(parents=True, exist_ok=True)
    if not data.exists():
        data.symlink_to(directory.resolve(), target_is_directory=True)


if __name__ == "__main__":
    run(main)
