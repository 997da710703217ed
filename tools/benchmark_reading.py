#!/usr/bin/env python3
"""Cost of the checks in ``read_audio``: its CPU time over that of bare ``soundfile.read``.

    OMP_NUM_THREADS=1 python tools/benchmark_reading.py [--seconds 10] [--repeat 400]

Both take turns reading the same whole file, so that other load slows both. It prints medians in
microseconds and their ratio. MP3 is decoded twice, once to count it, and so costs about double.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from espnet_robust.data.audio import RATE, audio_info, read_audio

FORMATS = {
    "flac": ("FLAC", "PCM_16"),
    "wav": ("WAV", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "sph": ("NIST", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def timed(function: Callable) -> float:
    """CPU time of a call in microseconds."""
    began = time.process_time_ns()
    function()
    return (time.process_time_ns() - began) / 1e3


def by_turns(repeat: int, *functions: Callable) -> list[float]:
    """The median time of each."""
    times = [[timed(function) for function in functions] for _ in range(repeat)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of the file")
    parser.add_argument("--repeat", type=int, default=400)
    args = parser.parse_args()
    wav = 0.05 * np.random.default_rng(0).standard_normal(round(args.seconds * RATE))
    print(
        f"{'':6}{'soundfile':>10}{'read_audio':>12}{'ratio':>7}{'info':>10}{'audio_info':>12}{'ratio':>7}"
    )
    with tempfile.TemporaryDirectory() as root:
        for suffix, (kind, subtype) in FORMATS.items():
            path = Path(root) / f"a.{suffix}"
            soundfile.write(path, wav, RATE, format=kind, subtype=subtype)
            theirs, ours, info, our_info = by_turns(
                args.repeat,
                lambda path=path: soundfile.read(path, dtype="float32"),
                lambda path=path: read_audio(path),
                lambda path=path: soundfile.info(path),
                lambda path=path: audio_info(path),
            )
            print(
                f"{suffix:6}{theirs:10.0f}{ours:12.0f}{ours / theirs:7.2f}"
                f"{info:10.0f}{our_info:12.0f}{our_info / info:7.2f}"
            )


if __name__ == "__main__":
    main()
