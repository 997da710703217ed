"""Write a report: tables, plots and figures of several systems, with 95 % intervals, into OUT.

    espnet-robust report exp/short --baseline distilhubert --out report
    espnet-robust report A/exp/short --compare theirs=B/exp/short --out report

wer.md and wer.tex hold the tables, wer.csv all figures, wer.png and wer.svg curves and bars,
cost.png and cost.svg the error rate against model size, arithmetic and time. For a classification
task the files are called accuracy. index.html shows all of it, and every utterance, in a browser,
without a network.
"""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="espnet-robust report",
        description=__doc__,
    )
    parser.add_argument("--out", type=Path, required=True, help="directory to write into")
    parser.add_argument("--baseline", default="", help="the system with which others are compared")
    parser.add_argument(
        "--systems",
        default="",
        help="names of the systems to show, in this order, separated by spaces; default: all",
    )
    parser.add_argument(
        "--compare",
        nargs="+",
        default=[],
        metavar="[NAME=]EXP",
        help="experiments made elsewhere, to show too; their systems are called NAME/SYSTEM, and "
        "without NAME keep their own names",
    )
    parser.add_argument(
        "--groups",
        type=Path,
        help="table of speakers and their groups; default: spk2gender of the test set, if there",
    )
    parser.add_argument("--exp", type=Path, help="a recipe's experiment, instead of EXP")
    parser.add_argument("--seeds", help="in --exp, separated by blanks; default: 0")
    parser.add_argument(
        "--test_sets",
        help="of --exp: OUT is of the first, OUT/SET of the others; default: test",
    )
    parser.add_argument(
        "scores",
        nargs="*",
        metavar="[NAME=]EXP",
        help="an experiment, the directory of one run in it, or its scores.json; NAME= shows a run "
        "under another name",
    )
    parser.add_argument(
        "--results", default="", help="RESULTS.md, a block of which gets the tables too"
    )
    parser.add_argument("--name", default="", help="of that block; default: that of EXP, or of OUT")
    parser.add_argument("--command", default="", help="what was run, for the record; default: this")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    given = shlex.join(["espnet-robust", "report", *(sys.argv[1:] if cmd is None else cmd)])
    command = args.command or given
    if bool(args.exp) == bool(args.scores):
        parser.error("name experiments or scores.json files, or --exp")
    if args.scores and (args.seeds is not None or args.test_sets is not None):
        parser.error("--seeds and --test_sets choose in --exp; name the runs: EXP/SYSTEM_seedN")
    if args.exp:
        _recipe(args, command)
        return
    from espnet_robust.score.found import compared, named

    names = named(args.scores)
    names |= compared(args.compare, names)
    tables = _write(args, args.out, names, args.systems.split(), args.baseline, command)
    _keep(args.results, args.name or args.out.name, tables, command)
    print(f"report written to {args.out}")


def _recipe(args: argparse.Namespace, command: str) -> None:
    """The report of a recipe's experiment, shown in the terminal."""
    from espnet_robust.score.found import compared
    from espnet_robust.score.report import SUMMARY

    systems = args.systems.split()
    for number, test_set in enumerate((args.test_sets or "test").split()):
        below = test_set if number else "."
        names = {
            args.exp / f"{system}_seed{seed}" / below / "scores.json": system
            for system in systems
            for seed in (args.seeds or "0").split()
        }
        others = compared(args.compare, names, below)
        order = [*systems, *dict.fromkeys(others.values())]
        baseline = args.baseline if args.baseline in order else ""
        if args.baseline != baseline and not number:  # a recipe's own need not be among those run
            print(
                f"the baseline {args.baseline} has no scores here, so no system is compared with "
                f"it; there are: {', '.join(order)}",
                file=sys.stderr,
            )
        out = args.out / below
        title = f"{args.exp.name}, {test_set}"
        tables = _write(args, out, names | others, order, baseline, command, title)
        print(f"\n{test_set}: {(out / SUMMARY).read_text('utf-8')}")
        print(f"every condition: {tables}   to browse: {out / 'index.html'}")
        name = args.name or args.exp.name
        _keep(args.results, f"{name}/{test_set}" if number else name, tables, command)


def _write(
    args: argparse.Namespace,
    out: Path,
    names: Mapping[Path, str],
    order: Sequence[str],
    baseline: str,
    command: str,
    title: str = "",
) -> Path:
    """Write everything about the runs in ``names`` (scores.json -> system) into ``out``.

    Returns:
        the file with the tables.
    """
    from espnet_robust.score.page.make import make_page
    from espnet_robust.score.report import tables_file, write_report

    studies = write_report(
        out, list(names), baseline=baseline, order=order, names=names, command=command,
        groups=args.groups,
    )  # fmt: skip
    what = studies[0].metric.title.partition(",")[0]
    make_page(out, studies, title=f"{what}: {title}" if title else what, command=command)
    return tables_file(out, studies)


def _keep(results: str, name: str, tables: Path, command: str) -> None:
    """Put the tables into RESULTS.md, if one is named."""
    if results:
        from espnet_robust.score.results_page import write_results

        write_results(Path(results), name, [tables.read_text(encoding="utf-8")], command)


if __name__ == "__main__":
    run(main)
