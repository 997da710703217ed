"""Classify every test condition of one system in one process.

Of the data dirs SET and its distorted copies SET_CONDITION it writes OUT/SET/CONDITION/TABLE
(undistorted: OUT/SET/clean/TABLE) and OUT/SET/decode.json.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import espnet_robust.quick_start  # noqa: F401  before ESPnet
from espnet_robust.classify import load_classifier
from espnet_robust.cli import run
from espnet_robust.decode import by_test_set, decode


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--exp", type=Path, required=True, help="output_dir of cls_train")
    parser.add_argument("--checkpoint", default="valid.loss.best.pth", help="file in --exp")
    parser.add_argument("--table", default="utt2label", help="default: %(default)s")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--batch_seconds", type=float, default=60.0, help="audio in a batch")
    parser.add_argument("data_dirs", type=Path, nargs="+", help="one for each condition")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    classifier = load_classifier(args.exp, args.checkpoint)
    for name, conditions in by_test_set(args.data_dirs).items():
        decode(classifier, conditions, args.out / name, args.batch_seconds, args.table)


if __name__ == "__main__":
    run(main)
