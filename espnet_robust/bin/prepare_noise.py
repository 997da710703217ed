"""Write the data dirs of a recipe's noises and rooms, from a source in conf/noise."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run
from espnet_robust.common.recipe import (
    DIRECTORIES,
    check_directories,
    directories_of,
    forget_noise,
    record_noise,
)


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust prepare_noise", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data"), help="default: %(default)s")
    for name in DIRECTORIES:
        parser.add_argument(f"--{name}", default="", metavar="DIR")
    parser.add_argument(
        "source", help="YAML in conf/noise, such as synthetic, or a directory with noise/ and rir/"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    given = directories_of(args.source, {name: getattr(args, name) for name in DIRECTORIES})
    check_directories(args.source, given)
    from espnet_robust.corpora.noise_source import check_corpora, prepare_noise

    check_corpora(args.source)
    forget_noise(args.out)
    made = prepare_noise(args.source, args.out, given)
    record_noise(args.source, given, args.out)
    for data_dir in made:
        number = sum(1 for _ in (data_dir / "wav.scp").open(encoding="utf-8"))
        print(f"{data_dir}: {number} recordings")


if __name__ == "__main__":
    run(main)
