"""Transcribe or label audio files with an exported model; needs neither torch nor ESPnet.

Prints one line per file: its name, a tab and its text or, if the model is a classifier, its label;
with --json, a JSON object with word times in seconds, or the probability of each class. Takes any
sampling rate and number of channels.

With --stream, prints text while it is spoken; with --json, each word when the next one begins or
after a pause:

    espnet-robust transcribe stream.onnx --stream microphone
    arecord -q -f S16_LE -r 16000 | espnet-robust transcribe stream.onnx --stream
"""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from espnet_robust.common.cli import Parser, run

if TYPE_CHECKING:
    from espnet_robust.device.labeller import Labelled
    from espnet_robust.device.runtime import Runtime
    from espnet_robust.device.transcriber import Transcript


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust transcribe", description=__doc__)
    parser.add_argument(
        "model", type=Path, help="model.onnx, model.int8.onnx, ... from espnet-robust export"
    )
    parser.add_argument("audio", type=Path, nargs="*", help="WAV, FLAC, OGG, MP3, ...")
    parser.add_argument(
        "--stream",
        choices=("stdin", "microphone"),
        nargs="?",
        const="stdin",
        help="instead of files: standard input (WAV or raw samples of 16 bits, mono), or the "
        "default microphone; needs stream.onnx or stream.int8.onnx",
    )
    parser.add_argument(
        "--rate",
        type=int,
        help="with --stream stdin: sampling rate of raw samples, Hz (default: the model's)",
    )
    parser.add_argument(
        "--json", action="store_true", help="JSON lines, with word times or classes"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument(
        "--window", type=float, default=12, metavar="SECONDS",
        help="transcribe longer files in windows of this length (default: %(default)s)",
    )  # fmt: skip
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    _check(args, parser)
    from espnet_robust.device.labeller import label_file
    from espnet_robust.device.runtime import listener
    from espnet_robust.device.transcriber import transcribe

    model = listener(args.model, args.threads)
    if args.stream:
        _listen(model, args)
    for path in args.audio:
        found: Transcript | Labelled
        if model.metadata.kind == "classifier":
            found = label_file(model, path, _note)
            line = found.label
        else:
            found = transcribe(model, path, _note, args.window)
            line = found.text
        if args.json:
            print(json.dumps(dataclasses.asdict(found), ensure_ascii=False), flush=True)
        else:
            print(f"{found.file}\t{line}", flush=True)


def _check(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Refuse options that do not fit; a window of NaN compares with nothing."""
    if not 10 <= args.window < math.inf:
        parser.error("--window: need at least 10 seconds, and finitely many")
    if args.threads < 1:
        parser.error("--threads: need at least 1")
    if bool(args.audio) == bool(args.stream):
        parser.error("name audio files or --stream, one of the two")
    if args.rate is None:
        return
    if args.stream != "stdin":
        parser.error("--rate: only for raw samples from standard input, --stream stdin")
    from espnet_robust.device.runtime import package

    package("soundfile")  # the next module imports it, without a message for the user
    from espnet_robust.data.entries import RATES

    if not RATES[0] <= args.rate <= RATES[1]:
        parser.error(f"--rate: need {RATES[0]} to {RATES[1]} Hz")


def _listen(model: "Runtime", args: argparse.Namespace) -> None:
    """Print what is heard until the input ends, or Ctrl-C."""
    from espnet_robust.device import listen

    listen.check_stream(model, args.model)
    rate = model.metadata.rate
    if args.stream == "microphone":
        blocks = listen.microphone(rate, _note)
    else:
        stdin = open(0, "rb", closefd=False)  # noqa: SIM115
        blocks = listen.standard_input(stdin, args.rate or rate, rate)
    if args.json:
        for word in listen.words_as_they_come(model, blocks):
            print(json.dumps(dataclasses.asdict(word), ensure_ascii=False), flush=True)
        return
    for part in listen.text_as_it_comes(model, blocks):
        print(part, end="", flush=True)
    print()


def _note(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    run(main)
