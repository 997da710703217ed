"""Write tables and a plot from scores.json files: wer.md, wer.csv and wer.png in OUT.

For a classification task the files are accuracy.md, accuracy.csv and accuracy.png.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="espnet-robust report",
        description=__doc__,
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
    parser.add_argument(
        "scores",
        nargs="*",
        metavar="[NAME=]SCORES_JSON",
        help="NAME= shows the system under another name, such as that of its experiment",
    )
    parser.add_argument(
        "--results", default="", help="RESULTS.md, a block of which gets the tables too"
    )
    parser.add_argument("--name", default="", help="of that block; default: that of EXP, or of OUT")
    parser.add_argument("--command", default="", help="what was run, for that block; default: this")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    from espnet_robust.score.report import SUMMARY, write_report

    given = shlex.join(["espnet-robust", "report", *(sys.argv[1:] if cmd is None else cmd)])
    command = args.command or given

    if bool(args.exp) == bool(args.scores):
        parser.error("name scores.json files, or --exp")
    systems = args.systems.split()
    if not args.exp:
        named = [word.rpartition("=") for word in args.scores]
        names = {Path(path): name for name, _, path in named if name}
        paths = [Path(path) for _, _, path in named]
        write_report(args.out, paths, baseline=args.baseline, order=systems, names=names)
        _keep(args.results, args.name or args.out.name, args.out, command)
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
        tables = sorted((args.out / below).glob("*.md"))
        print(f"\n{test_set}: {(args.out / below / SUMMARY).read_text('utf-8')}")
        print(f"every condition: {tables[0]}   plot: {tables[0].with_suffix('.png')}")
        name = args.name or args.exp.name
        _keep(args.results, f"{name}/{test_set}" if number else name, args.out / below, command)


def _keep(results: str, name: str, out: Path, command: str) -> None:
    """Put the tables in ``out`` into RESULTS.md, if one is named."""
    if results:
        from espnet_robust.score.results_page import write_results

        tables = [path.read_text(encoding="utf-8") for path in sorted(out.glob("*.md"))]
        write_results(Path(results), name, tables, command)


if __name__ == "__main__":
    run(main)
