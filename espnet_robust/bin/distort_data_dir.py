"""Write a distorted copy of a Kaldi-format data dir."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run

# As in distortion.copies, whose import of SciPy takes a second; a test compares the two.
FORMATS = ("flac", "wav", "ark", "flac.ark", "pipe")


def add_copy_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that writes distorted copies."""
    parser.add_argument(
        "--config", type=Path, required=True, help="distortion YAML, see conf/distortion"
    )
    parser.add_argument("--seed", type=int, required=True, help="seed for all random draws")
    parser.add_argument(
        "--nj", type=int, default=1, help="number of processes; does not change the result"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="flac",
        help="audio format; pipe: commands that make the audio",
    )
    parser.add_argument(
        "--allow_pipe", action="store_true", help="run the commands in the wav.scp of SRC"
    )
    parser.add_argument(
        "--hash_audio",
        action="store_true",
        help="hash all audio to see whether it changed, even if file sizes and times did not",
    )


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust distort_data_dir", description=__doc__)
    add_copy_options(parser)
    parser.add_argument(
        "--condition",
        metavar="NAME",
        help="name of the copy in scoring (default: noise for SRC test and DST test_noise)",
    )
    parser.add_argument("src", type=Path, metavar="SRC", help="data dir to distort")
    parser.add_argument("dst", type=Path, metavar="DST", help="data dir to write")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.distortion.copies import distort_data_dir

    distort_data_dir(
        args.src,
        args.dst,
        args.config,
        seed=args.seed,
        nj=args.nj,
        format=args.format,
        allow_pipe=args.allow_pipe,
        hash_audio=args.hash_audio,
        condition=args.condition,
    )


if __name__ == "__main__":
    run(main)
