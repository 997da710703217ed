"""Classify every test condition of one system in one process.

For a data dir SET and its distorted copies SET_CONDITION it writes OUT/SET/clean/TABLE,
OUT/SET/CONDITION/TABLE and OUT/SET/decode.json. Earlier output from the same model and data is
kept.
"""

import argparse
from collections.abc import Sequence

from espnet_robust.common.cli import Parser, run
from espnet_robust.recognise.job import add_options, test_sets, undone


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust classify", description=__doc__)
    add_options(parser)
    parser.add_argument("--table", default="utt2label", help="default: %(default)s")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    todo = undone(
        test_sets(args, parser), args.out, args.exp, args.checkpoint, {"table": args.table}
    )
    if not todo:
        print(f"{args.out}: already classified")
        return
    import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet
    from espnet_robust.recognise.classify import load_classifier
    from espnet_robust.recognise.decode import decode

    classifier = load_classifier(args.exp, args.checkpoint, args.device)
    for output, conditions in todo:
        decode(classifier, conditions, output, args.batch_seconds, args.table)


if __name__ == "__main__":
    run(main)
