"""Measure how well a linear classifier on a model's features tells clean from distorted speech."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run
from espnet_robust.common.errors import ConfigError


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="espnet-robust probe_domain",
        description=__doc__,
        epilog="For each model and each distorted copy: balanced accuracy of logistic regression\n"
        "on the last layer's mean over time, and on its standard deviation over time, for\n"
        "utterances of which it was fitted to no copy; 0.5 is chance. `all`: clean against all\n"
        "copies together.\n"
        "With --erase_clean and --erase_distorted, which need other utterances, also on means\n"
        "after linear erasure fitted to these: LEACE, which makes the two sides' means equal,\n"
        "and erasure of the --rank directions in which distortion changes utterances most.",
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
    parser.add_argument("--erase_clean", type=Path, metavar="DIR", help="see below")
    parser.add_argument(
        "--erase_distorted", type=Path, nargs="+", default=[], metavar="DIR", help="copies of it"
    )
    parser.add_argument("--rank", type=int, default=32, help="(default: 32)")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.distill.probe import Erasure, probe_model

    if bool(args.erase_clean) != bool(args.erase_distorted):
        raise ConfigError("give both --erase_clean and --erase_distorted, or neither")
    erasure = None
    if args.erase_clean:
        erasure = Erasure(args.erase_clean, args.erase_distorted, args.rank)
    header = ["all", *(path.name for path in args.distorted)]
    print("\t".join(["model", *header]))
    for model in args.models:
        for name, found in probe_model(model, args.clean, args.distorted, erasure).items():
            print("\t".join([name, *(f"{value:.3f}" for value in found)]), flush=True)


if __name__ == "__main__":
    run(main)
