"""Decode every test condition of one system in one process, in batches: greedy CTC, or beam search.

For a data dir SET and its distorted copies SET_CONDITION it writes OUT/SET/clean/text,
OUT/SET/CONDITION/text and OUT/SET/decode.json. Earlier output from the same model, options and data
is kept.
"""

import argparse
from collections.abc import Sequence

from espnet_robust.common.cli import Parser, run
from espnet_robust.recognise.job import (
    add_options,
    add_search_options,
    search_options,
    test_sets,
    undone,
)


def get_parser() -> argparse.ArgumentParser:
    # Without abbreviations, as in a recipe's --decode_options.
    parser = Parser(prog="espnet-robust decode", description=__doc__, allow_abbrev=False)
    add_options(parser)
    add_search_options(parser)
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    todo = undone(
        test_sets(args, parser), args.out, args.exp, args.checkpoint, search_options(args)
    )
    if not todo:
        print(f"{args.out}: already decoded")
        return
    import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet
    from espnet_robust.recognise.decode import decode, load_recogniser

    recogniser = load_recogniser(
        args.exp, args.checkpoint, args.method, args.beam_size, args.ctc_weight, args.device
    )
    for output, conditions in todo:
        decode(recogniser, conditions, output, args.batch_seconds)


if __name__ == "__main__":
    run(main)
