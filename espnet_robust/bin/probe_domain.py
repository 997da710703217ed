"""Measure how well a linear classifier on a model's features tells clean from distorted speech."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="espnet-robust probe_domain",
        description=__doc__,
        epilog="For each model and each distorted copy: balanced accuracy of logistic regression\n"
        "on the last layer, averaged over time, for held-out utterances; 0.5 is chance. `all`:\n"
        "clean against all copies together. With --erase, also after linear erasure (LEACE),\n"
        "fitted on one half of the utterances and tested on the other.",
    )
    parser.add_argument(
        "models", nargs="+", metavar="MODEL", help="student directory, or a teacher"
    )
    parser.add_argument("--clean", type=Path, required=True, metavar="DIR", help="data dir")
    parser.add_argument(
        "--distorted",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="distorted copies of CLEAN",
    )
    parser.add_argument("--erase", action="store_true", help="see below")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.distill.probe import probe_model

    header = ["all", *(path.name for path in args.distorted)]
    print("\t".join(["model", *header]))
    for model in args.models:
        for name, found in probe_model(model, args.clean, args.distorted, args.erase).items():
            print("\t".join([name, *(f"{value:.3f}" for value in found)]), flush=True)


if __name__ == "__main__":
    run(main)
