"""Score the decoded conditions of one system: scores.json and counts.tsv.

DECODE_DIR/CONDITION/text is scored against the text of each data dir, or a table of labels against
that table. condition.json in a data dir names its condition; without one it is called clean.
counts.tsv is written beside OUT.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="espnet-robust score",
        description=__doc__,
    )
    parser.add_argument("--system", required=True, help="name in tables")
    parser.add_argument("--seed", type=int, required=True, help="of training")
    parser.add_argument("--task", default="asr", help="default: %(default)s")
    parser.add_argument(
        "--label",
        default="",
        metavar="TABLE",
        help="for a classification task: the table with the classes, such as utt2label",
    )
    parser.add_argument("--decode_dir", type=Path, required=True, help="what decoding wrote")
    parser.add_argument("--out", type=Path, required=True, help="scores.json to write")
    parser.add_argument(
        "--missing",
        choices=["refuse", "delete"],
        default="refuse",
        help="utterances without hypothesis: an error, or all words deleted; default: %(default)s",
    )
    parser.add_argument(
        "--test_sets",
        type=Path,
        nargs="+",
        default=[],
        metavar="DATA_DIR",
        help="each with all of its conditions, decoded into DECODE_DIR/SET; OUT is for the first, "
        "SET/scores.json beside it for the others",
    )
    parser.add_argument(
        "--protocols",
        nargs="*",
        metavar="YAML",
        help="with --test_sets: of the conditions that protocols made, take those of these; "
        "default: all",
    )
    parser.add_argument("data_dirs", type=Path, nargs="*", metavar="DATA_DIR")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    from espnet_robust.data.conditions import condition_dirs

    if bool(args.test_sets) == bool(args.data_dirs):
        parser.error("name data dirs, or --test_sets")
    if args.data_dirs:
        score(args, args.data_dirs, args.decode_dir, args.out)
    for number, test_set in enumerate(args.test_sets):
        out = args.out.parent / test_set.name / args.out.name if number else args.out
        score(args, condition_dirs(test_set, args.protocols), args.decode_dir / test_set.name, out)


def score(args: argparse.Namespace, data_dirs: Sequence[Path], decode_dir: Path, out: Path) -> None:
    from espnet_robust.common.made_of import Output
    from espnet_robust.data.conditions import read_condition
    from espnet_robust.score.decoded import score_decoded, scored_of
    from espnet_robust.score.metrics import ACCURACY, CER, WER
    from espnet_robust.score.schema import write_counts, write_scores

    what = {"system": args.system, "seed": args.seed, "task": args.task, "label": args.label}
    what |= {"missing": args.missing}
    scores, counts = score_decoded(data_dirs, decode_dir, **what)
    conditions = {read_condition(path).name: path for path in data_dirs}
    output = Output(out.parent, scored_of(conditions, decode_dir, **what))
    output.begin()
    write_counts(out.with_name("counts.tsv"), counts)
    write_scores(out, scores)
    output.finish([out.name, "counts.tsv"])
    for c in scores.conditions:
        values = {m.name: getattr(c, m.field) for m in ((ACCURACY,) if args.label else (WER, CER))}
        shown = "  ".join(
            f"{name} {'     -' if x is None else f'{x:6.2f}'} %" for name, x in values.items()
        )
        print(f"{scores.system} seed {scores.seed} {c.name}: {shown}")


if __name__ == "__main__":
    run(main)
