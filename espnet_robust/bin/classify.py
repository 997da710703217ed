"""Classify every test condition of one system in one process.

Of the data dirs SET and its distorted copies SET_CONDITION it writes OUT/SET/CONDITION/TABLE
(undistorted: OUT/SET/clean/TABLE) and OUT/SET/decode.json.
"""

import argparse
from collections.abc import Sequence

import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet
from espnet_robust.cli import run
from espnet_robust.recognise.classify import load_classifier
from espnet_robust.recognise.decode import add_options, by_test_set, decode


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--table", default="utt2label", help="default: %(default)s")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    classifier = load_classifier(args.exp, args.checkpoint, args.device)
    for name, conditions in by_test_set(args.data_dirs).items():
        decode(classifier, conditions, args.out / name, args.batch_seconds, args.table)


if __name__ == "__main__":
    run(main)
