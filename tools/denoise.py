#!/usr/bin/env python3
"""Denoise data dirs with RNNoise: what one could do instead of distilling for noise.

    pip install pyrnnoise
    cd egs/mini/asr1 && ../../../tools/denoise.py data/test data/test_*

Writes ``data/rnnoise_NAME`` beside each ``data/NAME``: the same tables, the audio denoised. In
front of a trained recogniser:

    espnet-robust decode --exp exp/demo/distilhubert_seed0/asr --checkpoint valid.loss.best.pth \\
        --out exp/rnnoise/decode --test_sets data/rnnoise_test
    espnet-robust score --system rnnoise --seed 0 --decode_dir exp/rnnoise/decode \\
        --out exp/rnnoise/scores.json --test_sets data/rnnoise_test

RNNoise (Valin, arXiv:1709.08243) works at 48 kHz; its models are in the package.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from espnet_robust.common.cli import run
from espnet_robust.common.errors import UserError
from espnet_robust.data.audio import RATE, read_audio, resample, write_audio
from espnet_robust.data.conditions import as_file, read_condition
from espnet_robust.data.data_dir import AUDIO_TABLES, read_data_dir, write_data_dir

NATIVE_RATE = 48000
FRAME = NATIVE_RATE // 100
LATE = 2 * FRAME  # how much later its output is


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_dirs", nargs="+", type=Path)
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    rnnoise = load()
    for path in args.data_dirs:
        denoise_data_dir(rnnoise, path, path.with_name(f"rnnoise_{path.name}"))


def load() -> Any:
    """The bindings of RNNoise.

    Raises:
        UserError: they are not installed.
    """
    try:
        from pyrnnoise import rnnoise
    except ImportError as e:
        raise UserError(f"{e}: pip install pyrnnoise") from None
    return rnnoise


def denoise_data_dir(rnnoise: Any, path: Path, out: Path) -> None:
    """Write ``out``, its audio in ``OUT_audio`` beside it; tables, condition are those of ``path``.

    Raises:
        DataDirError: ``path`` is no data dir.
    """
    data = read_data_dir(path)
    audio = out.with_name(f"{out.name}_audio")
    audio.mkdir(exist_ok=True)
    wavs = {}
    for utt, entry in tqdm(data.wav.items(), desc=str(out), delay=2):
        wavs[utt] = str(audio / f"{utt}.flac")
        write_audio(wavs[utt], denoise(rnnoise, read_audio(entry)))
    kept = {name: table for name, table in data.tables.items() if name not in AUDIO_TABLES}
    write_data_dir(out, kept | {"wav.scp": wavs}, as_file(read_condition(path)))


def denoise(rnnoise: Any, wav: np.ndarray) -> np.ndarray:
    """(samples,) at 16 kHz, float in [-1, 1] -> the same, denoised, not delayed."""
    full = resample(wav, RATE, NATIVE_RATE)
    padded = np.pad(full, (0, LATE + -len(full) % FRAME))
    samples = np.clip(np.rint(padded * 32768), -32768, 32767).astype(np.int16)
    with state_of(rnnoise) as state:
        frames = [rnnoise.process_mono_frame(state, x)[0] for x in samples.reshape(-1, FRAME)]
    late = np.concatenate(frames)[LATE : LATE + len(full)]
    return resample(late.astype(np.float32) / 32768, NATIVE_RATE, RATE)[: len(wav)]


@contextmanager
def state_of(rnnoise: Any) -> Iterator[Any]:
    """A state of RNNoise, at the beginning of a signal."""
    state = rnnoise.create()
    try:
        yield state
    finally:
        rnnoise.destroy(state)


if __name__ == "__main__":
    run(main)
