"""Make a recipe's data/ a link to another directory, such as one on a large disk."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run
from espnet_robust.common.errors import UserError


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust link_data", description=__doc__)
    parser.add_argument("--recipe", type=Path, default=Path(), help="directory (default: this one)")
    parser.add_argument("directory", type=Path, help="created if necessary")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    link_data(args.recipe / "data", args.directory)


def link_data(data: Path, directory: Path) -> None:
    """Make ``data`` a link to ``directory``. Raises UserError if it already exists otherwise."""
    directory.mkdir(parents=True, exist_ok=True)
    if data.exists() or data.is_symlink():
        if data.resolve() != directory.resolve():
            raise UserError(
                f"--dumpdir {directory}: {data} already exists and is not a link to it; "
                f"fix: mv {data} {directory}/data, and use --dumpdir {directory}/data"
            )
        return
    data.symlink_to(directory.resolve(), target_is_directory=True)


if __name__ == "__main__":
    run(main)
