#!/usr/bin/env python3
"""How late a stream outputs words, against where they end in the audio.

    tools/mini_word_ends.py data/mini_audio > word_ends    # in egs/mini/asr1, after stage 1
    tools/measure_delay.py stream.onnx word_ends data/test data/test_noise_in_snr10

Each line of the table of ends is UTTERANCE END END ..., in seconds, with an END for each word of
the utterance's text, or a hyphen where it is unknown. Only correct words count. Copies of a test
set have the ends of the original, as long as their distortion does not move words.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from markdown_table import table

from espnet_robust.common.cli import run
from espnet_robust.common.errors import DataDirError
from espnet_robust.data.audio import read_audio
from espnet_robust.data.data_dir import iter_table, read_data_dir
from espnet_robust.device.delay import word_delays, words_output
from espnet_robust.device.listen import check_stream
from espnet_robust.device.runtime import Runtime, recogniser
from espnet_robust.device.stream import Stream

WANTED_S = 0.7
COLUMNS = {
    "data": ("", ""),
    "which": ("", ""),
    "known": ("words", "d"),
    "correct": ("correct", "d"),
    "median": ("delay, ms: median", ".0f"),
    "p95": ("95 % below", ".0f"),
    "largest": ("largest", ".0f"),
    "share": (f"within {1000 * WANTED_S:.0f} ms, %", ".1f"),
}


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="stream.onnx or stream.int8.onnx")
    parser.add_argument("ends", type=Path, help="table of the ends of words")
    parser.add_argument("data_dirs", type=Path, nargs="+")
    return parser


def main() -> None:
    args = get_parser().parse_args()
    model = recogniser(args.model)
    check_stream(model, args.model)
    ends = {utt: read_ends(line) for utt, line in iter_table(args.ends)}
    rows = [row for path in args.data_dirs for row in measure(model, path, ends)]
    print(table(rows, COLUMNS))
    print(f"\nprocessor time of a chunk, ms: {1000 * seconds_a_chunk(model):.2f}")


def read_ends(line: str) -> list[float | None]:
    return [None if word == "-" else float(word) for word in line.split()]


def measure(
    model: Runtime, path: Path, ends: dict[str, list[float | None]]
) -> list[dict[str, object]]:
    """A row for the first words of the utterances of a data dir, and one for all words."""
    known, found = [], []
    data = read_data_dir(path)
    for utt, entry in data.wav.items():
        if utt not in ends:
            raise DataDirError(f"{path}: {utt}: not in the table of the ends of words")
        text = data.tables["text"][utt].split()
        known += [at for at, end in enumerate(ends[utt]) if end is not None]
        found += word_delays(words_output(model, read_audio(entry)), text, ends[utt])
    first = [delay for at, delay in found if at == 0]
    return [
        row(path.name, "first words", known.count(0), first),
        row(path.name, "all words", len(known), [delay for _, delay in found]),
    ]


def row(data: str, which: str, known: int, delays: list[float]) -> dict[str, object]:
    shown = {"data": data, "which": which, "known": known, "correct": len(delays)}
    if not delays:
        return shown
    ms = 1000 * np.array(delays)
    return shown | {
        "median": float(np.median(ms)),
        "p95": float(np.quantile(ms, 0.95)),
        "largest": float(ms.max()),
        "share": 100 * float(np.mean(ms <= 1000 * WANTED_S)),
    }


def seconds_a_chunk(model: Runtime, chunks: int = 50) -> float:
    """Median processor time of a chunk, on one thread."""
    stream, rng, times = Stream(model), np.random.default_rng(0), []
    for _ in range(chunks):
        block = (0.1 * rng.standard_normal(stream.shift)).astype(np.float32)
        before = time.process_time()
        done = len(stream.feed(block))
        if done:
            times.append((time.process_time() - before) / done)
    return statistics.median(times)


if __name__ == "__main__":
    run(main)
