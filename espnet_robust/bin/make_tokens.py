"""Write the token list of a recogniser, and its BPE model, from a Kaldi text file."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust make_tokens", description=__doc__)
    parser.add_argument(
        "--type", choices=["bpe", "char", "word"], default="bpe", help="kind of tokens"
    )
    parser.add_argument("--size", type=int, default=100, help="size of the BPE vocabulary")
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    parser.add_argument("text", type=Path, help="Kaldi text of the training set")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.recognise.tokens import make_tokens

    make_tokens(args.text, args.out, args.type, args.size)


if __name__ == "__main__":
    run(main)
