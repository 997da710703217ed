#!/usr/bin/env python3
"""Measure the memory and time that transcribe needs with a full-size recogniser in eight bits.

    tools/measure_transcriber.py --windows 12 15

The recogniser: a full-size student with random weights, two BLSTM layers of 320 units, 500 tokens.
The file: a minute of noise at 16 kHz. Each window is measured in a process of its own, which
imports neither torch nor ESPnet.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from espnet_robust.device.export import recogniser_metadata
from espnet_robust.device.features import Features
from espnet_robust.device.graph import RecogniserGraph
from espnet_robust.device.onnx_file import EightBits, write_int8, write_onnx
from espnet_robust.device.recogniser import Experiment, Recogniser
from espnet_robust.device.shapes import FULL, build_shape
from espnet_robust.models.blstm import BLSTM

SECONDS, RATE, TOKENS = 60, 16000, 500
RUN = """
import contextlib, os, sys, time
began = time.perf_counter(), time.process_time()
from espnet_robust.bin.transcribe import main
from espnet_robust.device.measure import peak_mib
with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):
    main(sys.argv[1:])
peak, wall, cpu = peak_mib(), time.perf_counter() - began[0], time.process_time() - began[1]
print(f"{peak:.0f} MiB = {peak * 2**20 / 1e6:.0f} MB, {wall:.2f} s, of a core {cpu:.2f} s")
"""


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shape", choices=FULL, default="hubert")
    parser.add_argument("--windows", type=float, nargs="+", default=[12], metavar="SECONDS")
    parser.add_argument("--int8_convolutions", action="store_true")
    return parser


def write_recogniser(shape: str, convolutions: bool, folder: Path) -> Path:
    student = build_shape(shape)
    encoder = BLSTM(student.hidden_size, num_layers=2, subsample=[2, 1])
    model = Recogniser(Features(student, "weighted_sum"), encoder, TOKENS, "utterance_mvn")
    tokens = ["<blank>", *(f"▁{number}" for number in range(1, TOKENS))]
    metadata = recogniser_metadata(Experiment(model.eval(), tokens, "bpe"))
    write_onnx(RecogniserGraph(model), metadata, folder / "model.onnx")
    write_int8(folder / "model.onnx", folder / "model.int8.onnx", EightBits((), convolutions))
    return folder / "model.int8.onnx"


def main() -> None:
    args = get_parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        noise = 0.1 * np.random.default_rng(0).standard_normal(SECONDS * RATE)
        soundfile.write(f"{folder}/noise.wav", noise, RATE)
        model = write_recogniser(args.shape, args.int8_convolutions, Path(folder))
        print(f"{args.shape}, {model.stat().st_size / 2**20:.1f} MiB")
        for window in args.windows:
            command = [sys.executable, "-c", RUN, model, f"{folder}/noise.wav", "--window", window]
            done = subprocess.run(
                [str(part) for part in command], check=True, capture_output=True, text=True
            )
            print(f"windows of {window:g} s: {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
