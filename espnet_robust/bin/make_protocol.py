"""Write OUT_PREFIX_<condition>, a distorted copy of SRC, for every condition of a protocol."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.bin.distort_data_dir import add_copy_options
from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust make_protocol", description=__doc__)
    add_copy_options(parser)
    parser.add_argument("src", type=Path, metavar="SRC")
    parser.add_argument("out_prefix", metavar="OUT_PREFIX")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.distortion.protocol import make_protocol

    make_protocol(
        args.src,
        args.out_prefix,
        args.config,
        seed=args.seed,
        nj=args.nj,
        format=args.format,
        allow_pipe=args.allow_pipe,
        hash_audio=args.hash_audio,
    )


if __name__ == "__main__":
    run(main)
