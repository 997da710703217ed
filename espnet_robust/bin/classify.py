"""Classify every test condition of one system in one process.

Of the data dirs SET and its distorted copies SET_CONDITION it writes OUT/SET/CONDITION/TABLE
(undistorted: OUT/SET/clean/TABLE) and OUT/SET/decode.json. What is there already, of the same model
and data, is left as it is.
"""

import argparse
from collections.abc import Sequence

from espnet_robust.cli import run
from espnet_robust.recognise.job import add_options, test_sets, undone


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--table", default="utt2label", help="default: %(default)s")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    options = {"table": args.table}
    todo = undone(test_sets(args, parser), args.out, args.exp, args.checkpoint, options)
    if not todo:
        print(f"{args.out}: classified already")
        return
    import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet
    from espnet_robust.recognise.classify import load_classifier
    from espnet_robust.recognise.decode import decode

    classifier = load_classifier(args.exp, args.checkpoint, args.device)
    for name, conditions, made_of in todo:
        decode(classifier, conditions, args.out / name, args.batch_seconds, made_of, args.table)


if __name__ == "__main__":
    run(main)
