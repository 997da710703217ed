"""Decode every test condition of one system in one process: batched greedy CTC."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.cli import run
from espnet_robust.decode import decode
from espnet_robust.score.decoded import read_condition


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exp", type=Path, required=True, help="output_dir of asr_train")
    parser.add_argument("--checkpoint", default="valid.loss.best.pth", help="file in --exp")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--batch_seconds", type=float, default=60.0, help="audio in a batch")
    parser.add_argument("data_dirs", type=Path, nargs="+", help="one for each condition")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    conditions = {read_condition(data_dir).name: data_dir for data_dir in args.data_dirs}
    decode(args.exp, args.checkpoint, conditions, args.out, args.batch_seconds)


if __name__ == "__main__":
    run(main)
