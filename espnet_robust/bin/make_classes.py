"""Write the list of classes and the labels for ESPnet's classification task."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust make_classes", description=__doc__)
    parser.add_argument(
        "--table", default="utt2label", help="table with the labels; default: %(default)s"
    )
    parser.add_argument("--out", type=Path, required=True, help="directory")
    parser.add_argument(
        "--train", type=Path, required=True, help="training data dir, with every class"
    )
    parser.add_argument("--dev", type=Path, required=True, help="data dir")
    parser.add_argument("tests", type=Path, nargs="*", help="data dirs whose labels to check")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.recognise.classes import make_classes

    classes = make_classes(args.out, args.table, args.train, args.dev, args.tests)
    print(f"{args.out}: {' x '.join(str(len(slot)) for slot in classes.slots)} classes")


if __name__ == "__main__":
    run(main)
