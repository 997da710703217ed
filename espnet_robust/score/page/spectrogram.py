"""Small spectrograms, for a page that can play the audio beside it but not read its samples.

A browser lets a page that was opened from disk play ``file:`` audio but hides its samples (tested
in Chromium 156: fetch is refused, and a media element's stream is silent or refused). The report
therefore includes spectrograms of the utterances on which systems differ most. If the page can
read audio (on a web server, or after the reader has chosen the folder),
``assets/spectrogram.js`` computes the same.
"""

import base64
from collections.abc import Sequence

import numpy as np

from espnet_robust.common.errors import UserError
from espnet_robust.data.audio import RATE, read_audio

WINDOW = 512  # samples, 32 ms
HOP = 320  # 20 ms
BANDS = 64
RANGE_DB = 70.0  # below the loudest cell; what is softer is black
LEVELS = 15  # few, so that pictures compress well; the eye cannot tell more apart


def spectrogram(wav: np.ndarray) -> np.ndarray:
    """Mel-spaced band powers in dB, as a picture.

    Args:
        wav: (samples,) at 16 kHz, padded with zeros to one window at least.

    Returns:
        (frames, bands) of uint8: ``LEVELS`` is the loudest cell, 0 is ``RANGE_DB`` or more below.
    """
    wav = np.pad(wav, (0, max(0, WINDOW - len(wav))))
    frames = np.lib.stride_tricks.sliding_window_view(wav, WINDOW)[::HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    first, last = _edges()
    sums = np.cumsum(np.pad(power, ((0, 0), (1, 0))), axis=1)
    bands = (sums[:, last] - sums[:, first]) / (last - first)
    db = 10 * np.log10(np.maximum(bands, 1e-10))
    return np.round(LEVELS * np.clip(1 + (db - db.max()) / RANGE_DB, 0, 1)).astype(np.uint8)


def _edges() -> tuple[np.ndarray, np.ndarray]:
    """First bin of each band, and the bin after its last: equal widths in mel, at least one bin."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, BANDS + 1) / 2595) - 1)
    bins = np.floor(hertz * WINDOW / RATE + 1e-9).astype(int)
    return bins[:-1], np.maximum(bins[1:], bins[:-1] + 1)


def pictures(
    ranks: Sequence[float], audio: Sequence[str], clean: Sequence[str], budget: int
) -> dict[str, list[str | None]]:
    """Spectrograms of the utterances with the highest ranks, within ``budget`` bytes.

    Args:
        ranks: (N,) importance of each utterance.
        audio, clean: (N,) entries of ``wav.scp``; ``clean`` may be empty.

    Returns:
        place -> [of ``audio``, of ``clean``], each (frames, bands) bytes in base64; None where the
        audio is gone or cannot be read.
    """
    drawn: dict[str, list[str | None]] = {}
    heard = [place for place in range(len(ranks)) if audio[place]]
    for place in sorted(heard, key=lambda i: (-ranks[i], i)):
        cells = [_cells(entries[place]) for entries in (audio, clean) if entries]
        budget -= sum(c.size for c in cells if c is not None)
        if budget < 0:
            break
        drawn[str(place)] = [None if c is None else _base64(c) for c in cells]
    return drawn


def _cells(entry: str) -> np.ndarray | None:
    try:
        return spectrogram(read_audio(entry)) if entry else None
    except UserError:
        return None


def _base64(cells: np.ndarray) -> str:
    return base64.b64encode(cells.tobytes()).decode("ascii")
