"""Export a student, recogniser or classifier to ONNX, for use without torch and ESPnet.

SOURCE is a student directory or the output_dir of an ASR or classification training on a student.
OUT gets

  model.onnx        samples and lengths -> hidden states, or log probabilities of tokens or classes
  model.int8.onnx   the same, with matrix products in eight-bit integers
  sherpa.onnx, sherpa.int8.onnx, tokens.txt    for sherpa-onnx (recognisers only)
  stream.onnx, stream.int8.onnx    chunk by chunk (recognisers on a causal student)

Every file is run with onnxruntime and compared with torch. Files of an earlier export in OUT are
deleted: give each model a directory of its own.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run

FORMATS = ("onnx", "onnx-int8", "sherpa", "stream", "all")


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust export", description=__doc__)
    parser.add_argument("source", type=Path, help="student directory or experiment")
    parser.add_argument("out", type=Path, help="directory for the files")
    parser.add_argument("--format", choices=FORMATS, default="all", help="default: %(default)s")
    parser.add_argument(
        "--checkpoint",
        default="valid.loss.best.pth",
        help="model file of an experiment (%(default)s)",
    )
    parser.add_argument(
        "--calibrate", type=Path, nargs="+", default=[], metavar="DATA_DIR",
        help="static int8: set the scales of activations from their range on this (distorted) "
        "speech; default: each utterance sets its own",
    )  # fmt: skip
    parser.add_argument(
        "--utterances",
        type=int,
        default=64,
        help="number of utterances to calibrate on (default: %(default)s)",
    )
    parser.add_argument(
        "--int8_convolutions", action="store_true",
        help="int8: HuBERT's convolutions in integers too, which is twice as fast and changes more "
        "texts",
    )  # fmt: skip
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    if args.utterances < 1:
        parser.error("--utterances: need at least 1")
    from espnet_robust.device.compare import some_utterances
    from espnet_robust.device.export import export, source_rate
    from espnet_robust.device.onnx_file import EightBits

    wavs = some_utterances(args.calibrate, args.utterances, source_rate(args.source))
    int8 = EightBits(wavs, args.int8_convolutions)
    exported = export(
        args.source, args.out, args.format, args.checkpoint, int8,
        lambda text: print(text, file=sys.stderr),
    )  # fmt: skip
    for done in exported:
        size = done.path.stat().st_size / 2**20
        print(f"{done.path}: {size:.1f} MiB, differs from torch by at most {done.difference:.1e}")


if __name__ == "__main__":
    run(main)
