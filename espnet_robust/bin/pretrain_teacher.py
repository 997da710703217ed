"""Pretrain a small HuBERT teacher on data dirs by masked prediction of k-means units."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.cli import run
from espnet_robust.pretrain.hubert import pretrain


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="YAML, see PretrainConfig")
    parser.add_argument("--out", type=Path, required=True, help="directory of the teacher")
    parser.add_argument("data_dirs", type=Path, nargs="+", help="data dirs of clean speech")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    pretrain(args.config, args.data_dirs, args.out)


if __name__ == "__main__":
    run(main)
