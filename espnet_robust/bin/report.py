"""Tables and a plot from scores.json files: wer.md, wer.csv, wer.png, or accuracy.*."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.cli import run
from espnet_robust.score.report import write_report


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m espnet_robust.bin.report",
        description="Write OUT/wer.md, OUT/wer.csv and OUT/wer.png from scores.json files; of a "
        "classification task OUT/accuracy.md, .csv and .png.",
    )
    parser.add_argument("--out", type=Path, required=True, help="directory to write into")
    parser.add_argument("--baseline", default="", help="system to compare the others with")
    parser.add_argument(
        "--systems",
        default="",
        help="names of the systems to show, in this order, separated by spaces; default: all",
    )
    parser.add_argument("scores", type=Path, nargs="+", metavar="SCORES_JSON")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    write_report(args.out, args.scores, baseline=args.baseline, order=args.systems.split())
    print(f"report written to {args.out}")


if __name__ == "__main__":
    run(main)
