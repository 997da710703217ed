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
    parser.add_argument("--exp", type=Path, help="a recipe's experiment, instead of SCORES_JSON")
    parser.add_argument("--seeds", default="0", help="of --exp, separated by blanks")
    parser.add_argument(
        "--test_sets", default="test", help="of --exp: OUT is of the first, OUT/SET of the others"
    )
    parser.add_argument("scores", type=Path, nargs="*", metavar="SCORES_JSON")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    if bool(args.exp) == bool(args.scores):
        parser.error("name scores.json files, or --exp")
    systems = args.systems.split()
    if not args.exp:
        write_report(args.out, args.scores, baseline=args.baseline, order=systems)
        print(f"report written to {args.out}")
        return
    baseline = args.baseline if args.baseline in systems else ""
    for number, test_set in enumerate(args.test_sets.split()):
        below = test_set if number else "."
        scores = [
            args.exp / f"{system}_seed{seed}" / below / "scores.json"
            for system in systems
            for seed in args.seeds.split()
        ]
        write_report(args.out / below, scores, baseline=baseline, order=systems)
        if number:
            print(f"# {test_set}")
        for path in sorted((args.out / below).glob("*.md")):
            print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    run(main)
