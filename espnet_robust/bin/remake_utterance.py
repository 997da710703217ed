"""Remake one utterance of a distorted copy from its line in utt2distortion."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust remake_utterance", description=__doc__)
    parser.add_argument(
        "--allow_pipe", action="store_true", help="run the command that the source audio comes from"
    )
    parser.add_argument("copy", type=Path, metavar="DST", help="a copy made by distort_data_dir")
    parser.add_argument("utt", metavar="UTT", help="utterance id")
    parser.add_argument("out", metavar="OUT", help=".flac or .wav; - writes WAV to stdout")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.data.audio import encode_audio, write_audio
    from espnet_robust.distortion.copies import remake

    wav = remake(args.copy, args.utt, allow_pipe=args.allow_pipe)
    if args.out == "-":
        sys.stdout.buffer.write(encode_audio(wav, "stdout.wav"))
    else:
        write_audio(args.out, wav)


if __name__ == "__main__":
    run(main)
