"""Measure the level of speech, over the whole signal or while it is active."""

import numpy as np
from scipy.ndimage import maximum_filter1d
from scipy.signal import lfilter

from espnet_robust.data.audio import RATE

METERS = ("active", "whole")

_BLOCK = RATE // 250  # 4 ms: short compared with the envelope's 30 ms, and 64 times less to filter
_SMOOTHING = float(np.exp(-0.004 / 0.03))  # time constant of 30 ms, twice (P.56)
_HANGOVER = 50  # blocks: 200 ms for which speech counts as active after it stops (P.56)
_MARGIN_DB = 15.9  # between the active level and the activity threshold (P.56)
_STEP_DB = 20 * np.log10(2)


def energy(wav: np.ndarray) -> float:
    """Sum of squares of (samples,) float32.

    Bit-identical for any number of threads, unlike ``np.dot``, which splits long sums among them.
    """
    whole = len(wav) // 1024 * 1024
    blocks, rest = wav[:whole].reshape(-1, 1024), wav[whole:]
    sums = np.einsum("ij,ij->i", blocks, blocks)
    return float(sums.sum(dtype=np.float64)) + float(np.square(rest, dtype=np.float64).sum())


def power(wav: np.ndarray) -> float:
    """Mean square of (samples,). 0.0 for silence."""
    return energy(wav) / len(wav)


def active_power(wav: np.ndarray) -> float:
    """Mean square over the time in which speech is active, after ITU-T P.56 method B.

    An envelope (smoothed twice with 30 ms) is compared with thresholds 6 dB apart. Each threshold
    gives an activity (with a hangover of 200 ms) and hence a level; the active level is the one
    15.9 dB above its own threshold. Two differences from P.56, both below 0.1 dB: the envelope uses
    means over 4 ms instead of samples, and the last step is one linear interpolation instead of a
    bisection.

    Args:
        wav: (samples,) at 16 kHz.

    Returns:
        Mean square, at least ``power(wav)``; 0.0 for silence. Signals shorter than 0.2 s count as
        active throughout.
    """
    total = energy(wav)
    num_blocks = len(wav) // _BLOCK
    if num_blocks < _HANGOVER or total == 0.0:
        return total / len(wav)
    blocks = np.abs(wav[: num_blocks * _BLOCK].reshape(num_blocks, _BLOCK))
    means = np.einsum("ij->i", blocks) / _BLOCK  # several times as fast as mean(axis=1)
    g = _SMOOTHING
    envelope = lfilter([(1 - g) ** 2], [1, -2 * g, g * g], means)
    # Active if the envelope reached the threshold within the hangover.
    held = maximum_filter1d(envelope, _HANGOVER, origin=_HANGOVER // 2 - 1, mode="constant")
    top = 20 * np.log10(held.max())
    thresholds_db = top - _STEP_DB * np.arange(1, 17)
    held = np.sort(held)
    active = num_blocks - np.searchsorted(held, 10 ** (thresholds_db / 20))
    levels_db = 10 * np.log10(total / (np.maximum(active, 1) * _BLOCK))
    level_db = _level_above(thresholds_db, levels_db)
    return max(10 ** (level_db / 10), total / len(wav))


def _level_above(thresholds_db: np.ndarray, levels_db: np.ndarray) -> float:
    """The level that is the margin above its own threshold, by interpolation; -inf if none is.

    With a lower threshold more time counts as active, so the level falls but its distance to the
    threshold grows: the first threshold that is far enough below brackets the answer.
    """
    margins = levels_db - thresholds_db
    above = int(np.argmax(margins >= _MARGIN_DB))
    if margins[above] < _MARGIN_DB:
        return -np.inf
    if above == 0:
        return levels_db[0]
    part = (_MARGIN_DB - margins[above - 1]) / (margins[above] - margins[above - 1])
    return levels_db[above - 1] + part * (levels_db[above] - levels_db[above - 1])


def speech_power(wav: np.ndarray, meter: str) -> float:
    """Mean square of speech, measured by one of ``METERS``."""
    return active_power(wav) if meter == "active" else power(wav)


def amplitude(wanted: float, given: float) -> np.float32:
    """Factor that scales samples of power ``given`` to power ``wanted``; 0 for silence. At most
    1e18, so that the scaled audio never overflows float32."""
    return np.float32(min((wanted / given) ** 0.5, 1e18) if given > 0 else 0.0)


def mix(wav: np.ndarray, noise: np.ndarray, snr_db: float, meter: str) -> np.ndarray:
    """Add noise to speech; the speech keeps its level.

    Args:
        wav: (samples,) speech. Silence stays silence, since no noise level gives it an SNR.
        noise: (samples,), of any level; silence adds nothing.
        snr_db: power of the speech by ``meter`` over the mean power of the whole noise.
        meter: one of ``METERS``.
    """
    wanted = speech_power(wav, meter) * 10 ** (-snr_db / 10)
    out = amplitude(wanted, power(noise)) * noise
    out += wav
    return out
