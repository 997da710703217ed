"""Score the decoded conditions of one system: scores.json and counts.tsv."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.cli import run
from espnet_robust.score.decoded import score_decoded
from espnet_robust.score.schema import write_counts, write_scores


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m espnet_robust.bin.score",
        description="Score DECODE_DIR/CONDITION/text against the text of each data dir, or a table "
        "of labels. "
        "condition.json in a data dir names its condition; without one it is called clean. "
        "Writes OUT and, beside it, counts.tsv.",
    )
    parser.add_argument("--system", required=True, help="name in tables")
    parser.add_argument("--seed", type=int, required=True, help="of training")
    parser.add_argument("--task", default="asr", help="default: %(default)s")
    parser.add_argument(
        "--label",
        default="",
        metavar="TABLE",
        help="of a classification task: the table with the classes, such as utt2label",
    )
    parser.add_argument("--decode-dir", type=Path, required=True, help="what decoding wrote")
    parser.add_argument("--out", type=Path, required=True, help="scores.json to write")
    parser.add_argument(
        "--missing",
        choices=["refuse", "delete"],
        default="refuse",
        help="utterances without hypothesis: an error, or all words deleted; default: %(default)s",
    )
    parser.add_argument("data_dirs", type=Path, nargs="+", metavar="DATA_DIR")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    scores, counts = score_decoded(
        args.data_dirs,
        args.decode_dir,
        system=args.system,
        seed=args.seed,
        task=args.task,
        label=args.label,
        missing=args.missing,
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_counts(args.out.with_name("counts.tsv"), counts)
    write_scores(args.out, scores)
    for c in scores.conditions:
        rates = {"WER": c.wer, "CER": c.cer} if not args.label else {"accuracy": c.accuracy}
        shown = "  ".join(
            f"{name} {'     -' if x is None else f'{x:6.2f}'} %" for name, x in rates.items()
        )
        print(f"{scores.system} seed {scores.seed} {c.name}: {shown}")


if __name__ == "__main__":
    run(main)
