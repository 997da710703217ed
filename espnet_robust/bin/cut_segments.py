"""Cut the recordings of a data dir with ``segments`` into one FLAC file per utterance.

Distortion, decoding and scoring can read segments; ESPnet's training needs files.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust data cut_segments", description=__doc__)
    parser.add_argument("src", type=Path, help="data dir with segments")
    parser.add_argument("dst", type=Path, help="data dir to write")
    parser.add_argument(
        "--allow_pipe", action="store_true", help="run the commands in the wav.scp of SRC"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.data.from_audio import cut_segments

    data = cut_segments(args.src, args.dst, allow_pipe=args.allow_pipe)
    print(f"{data.path}: {len(data.wav)} utterances")


if __name__ == "__main__":
    run(main)
