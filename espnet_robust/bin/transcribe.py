"""Transcribe audio files with an exported recogniser; needs neither torch nor ESPnet.

Prints one line per file: its name, a tab and its text; with --json, a JSON object with word times
in seconds. Takes any sampling rate and number of channels.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust transcribe", description=__doc__)
    parser.add_argument(
        "model", type=Path, help="model.onnx or model.int8.onnx from espnet-robust export"
    )
    parser.add_argument("audio", type=Path, nargs="+", help="WAV, FLAC, OGG, MP3, ...")
    parser.add_argument("--json", action="store_true", help="JSON lines with word times")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument(
        "--window", type=float, default=20, metavar="SECONDS",
        help="process longer files in windows of this length (default: %(default)s)",
    )  # fmt: skip
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    if args.window < 10:
        parser.error("--window: need at least 10 seconds")
    if args.threads < 1:
        parser.error("--threads: need at least 1")
    from espnet_robust.device.runtime import recogniser
    from espnet_robust.device.transcriber import transcribe

    model = recogniser(args.model, args.threads)
    for path in args.audio:
        found = transcribe(model, path, lambda text: print(text, file=sys.stderr), args.window)
        if args.json:
            print(json.dumps(dataclasses.asdict(found), ensure_ascii=False), flush=True)
        else:
            print(f"{found.file}\t{found.text}", flush=True)


if __name__ == "__main__":
    run(main)
