"""Score the decoded conditions of one system: OUT, which is scores.json, and tables beside it.

DECODE_DIR/CONDITION/text is scored against the text of each data dir, or a table of labels against
that table. condition.json in a data dir names its condition; without one it is called clean.
counts.tsv has the errors of every utterance. compared.tsv has the texts as they were compared, if
options change them.

Case and punctuation count unless an option says otherwise. The options are recorded in scores.json;
systems that were scored with different options cannot be compared.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_robust.common.cli import Parser, run
from espnet_robust.score.options import add_options, scoring_of

if TYPE_CHECKING:
    from espnet_robust.score.schema import ConditionScore


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
    parser.add_argument("--decode_dir", type=Path, required=True, help="output of decoding")
    parser.add_argument("--out", type=Path, required=True, help="scores.json to write")
    add_options(parser)
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
    parser.add_argument(
        "data_dirs", type=Path, nargs="*", metavar="DATA_DIR", help="test sets, one per condition"
    )
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
    from espnet_robust.score.aligned import write_aligned
    from espnet_robust.score.compared_file import FILE, write_compared
    from espnet_robust.score.counts_file import write_counts
    from espnet_robust.score.decoded import score_decoded, scored_of
    from espnet_robust.score.schema import write_scores

    scoring = scoring_of(args, args.system, args.seed, args.task, args.label)
    scores, errors = score_decoded(data_dirs, decode_dir, scoring)
    conditions = {read_condition(path).name: path for path in data_dirs}
    output = Output(out.parent, scored_of(conditions, decode_dir, scoring))
    output.begin()
    aligned = out.with_name("aligned.txt")
    aligned.unlink(missing_ok=True)  # of what was decoded before
    write_counts(out.with_name("counts.tsv"), errors)
    write_scores(out, scores)
    files = [out.name, "counts.tsv"]
    if scores.normalisation:
        write_compared(out.with_name(FILE), data_dirs, decode_dir, scoring)
        files.append(FILE)
    else:
        out.with_name(FILE).unlink(missing_ok=True)  # of other options
    if args.aligned:
        write_aligned(aligned, data_dirs, decode_dir, scoring)
    output.finish(files)
    for condition in scores.conditions:
        print(f"{scores.system} seed {scores.seed} {_line(condition)}")


def _line(condition: "ConditionScore") -> str:
    """What the terminal shows of a condition."""
    from espnet_robust.score.metrics import ACCURACY, CER, WER

    metrics = (ACCURACY,) if condition.accuracy is not None else (WER, CER)
    values = ((m.name, getattr(condition, m.field)) for m in metrics)
    line = "  ".join(f"{n} {'     -' if x is None else f'{x:6.2f}'} %" for n, x in values)
    said = ""
    if condition.missing:
        said += f"  {condition.missing} without hypothesis: their words count as deleted"
    if condition.empty:
        said += f"  {condition.empty} with an empty reference: insertions only"
    return f"{condition.name}: {line}{said}"


if __name__ == "__main__":
    run(main)
