"""Check Kaldi-format data dirs: tables must agree and be sorted, audio must be readable."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_robust.common.cli import Parser, run

if TYPE_CHECKING:
    from espnet_robust.data.data_dir import DataDir


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust data validate", description=__doc__)
    parser.add_argument(
        "data_dirs", type=Path, nargs="+", metavar="DATA_DIR", help="data dirs to check"
    )
    parser.add_argument(
        "--need",
        nargs="*",
        default=["wav.scp", "text", "utt2spk"],
        help="required files (default: %(default)s); for noise and rooms, wav.scp is enough",
    )
    parser.add_argument("--audio", action="store_true", help="also open every audio file")
    parser.add_argument(
        "--add_tables",
        action="store_true",
        help="write utt2num_samples and utt2dur from the audio headers, or complete them",
    )
    parser.add_argument(
        "--allow_pipe", action="store_true", help="with --audio: run the commands in wav.scp"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.data.data_dir import validate_data_dir
    from espnet_robust.data.from_audio import add_audio_tables

    for path in args.data_dirs:
        if args.add_tables:
            add_audio_tables(path, allow_pipe=args.allow_pipe)
        data = validate_data_dir(path, need=args.need, audio=args.audio, allow_pipe=args.allow_pipe)
        _warn_of_overlaps(data)
        print(f"{path}: {len(data.wav)} utterances, {', '.join(data.tables)}: valid")


def _warn_of_overlaps(data: "DataDir") -> None:
    from espnet_robust.data.segments import overlapping

    where = f"{data.path}/segments"
    if pairs := overlapping(data.tables.get("segments", {}), where):
        first, second = pairs[0]
        print(
            f"warning: {where}: {len(pairs)} utterances begin before the previous one ends,"
            f" first {second} in {first}; this is fine if speakers talk at once",
            file=sys.stderr,
        )


if __name__ == "__main__":
    run(main)
