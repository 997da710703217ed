"""Check Kaldi-format data dirs: tables that agree and are sorted, audio that can be read."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust data validate", description=__doc__)
    parser.add_argument("data_dirs", type=Path, nargs="+", metavar="DATA_DIR")
    parser.add_argument(
        "--need",
        nargs="*",
        default=["wav.scp", "text", "utt2spk"],
        help="files that must be there (default: %(default)s); wav.scp alone for noise and rooms",
    )
    parser.add_argument("--audio", action="store_true", help="also open every audio file")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.data.data_dir import validate_data_dir

    for path in args.data_dirs:
        data = validate_data_dir(path, need=args.need, audio=args.audio)
        print(f"{path}: {len(data.wav)} utterances, {', '.join(data.tables)}: valid")


if __name__ == "__main__":
    run(main)
