"""Print the directory of the YAML files that come with the package."""

import argparse
from collections.abc import Sequence

from espnet_robust.common.cli import Parser, run
from espnet_robust.common.shipped import conf_dir


def get_parser() -> argparse.ArgumentParser:
    return Parser(prog="espnet-robust conf_dir", description=__doc__)


def main(cmd: Sequence[str] | None = None) -> None:
    get_parser().parse_args(cmd)
    print(conf_dir())


if __name__ == "__main__":
    run(main)
