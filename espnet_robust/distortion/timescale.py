"""Change pitch and tempo with a phase vocoder and soxr."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from scipy import fft
from scipy.signal.windows import hann

from espnet_robust.data.audio import resample
from espnet_robust.distortion.base import Context, Kind, Values, numbers, word

FRAME = 1024  # samples: 64 ms resolve the harmonics of an 80 Hz voice
HOP = FRAME // 4
_ONSET = np.float32(1e-6)  # -120 dB: weaker than any sound


@dataclass(frozen=True, kw_only=True)
class Pitch(Kind):
    """Shift pitch and formants; keep tempo and length.

    Args:
        cents: hundredths of a semitone; 1200 is an octave up.
    """

    labels: ClassVar = ("pitch",)
    cents: Values = field(**numbers([-500, 500], low=-2400, high=2400))

    def draw(self, rng: np.random.Generator, context: Context) -> dict:
        return {"cents": self.cents.draw(rng, context.progress)}

    @staticmethod
    def apply(wav, cents):
        if cents == 0:
            return wav.copy()
        ratio = 2 ** (cents / 1200)
        return fit_length(resample(stretch(wav, ratio), ratio, 1.0), len(wav))


@dataclass(frozen=True, kw_only=True)
class Speed(Kind):
    """Talk faster or slower.

    Args:
        factor: > 1 is faster and shorter.
        pitch: "follow", as on a tape (resampling), or "keep" (tempo alone).
        length: "keep" keeps the number of samples, by cutting off the end or filling it with
            silence; "map" changes it to round(samples / factor).
    """

    labels: ClassVar = ("speed",)
    factor: Values = field(**numbers([0.9, 1.1], low=0.25, high=4))
    pitch: str = field(**word("follow", ("follow", "keep")))
    length: str = field(**word("keep", ("keep", "map")))

    def keeps_length(self) -> bool:
        return self.length == "keep"

    def draw(self, rng: np.random.Generator, context: Context) -> dict:
        factor = self.factor.draw(rng, context.progress)
        return {"factor": factor, "pitch": self.pitch, "length": self.length}

    @staticmethod
    def apply(wav, factor, pitch, length):
        num_samples = Speed.num_samples_out(len(wav), factor, pitch, length)
        out = resample(wav, factor, 1.0) if pitch == "follow" else stretch(wav, 1 / factor)
        return fit_length(out, num_samples)

    @staticmethod
    def num_samples_out(num_samples, factor, pitch, length):
        return max(1, round(num_samples / factor)) if length == "map" else num_samples


def fit_length(wav: np.ndarray, num_samples: int) -> np.ndarray:
    """(num_samples,): cut off, or filled with silence; always a copy."""
    out = np.zeros(num_samples, np.float32)
    part = wav[:num_samples]
    out[: len(part)] = part
    return out


def stretch(wav: np.ndarray, ratio: float) -> np.ndarray:
    """Change the duration and keep the pitch: a phase vocoder.

    Each output frame advances the phases of the frame before it by as much as they advance in the
    input between two frames exactly one hop apart, so no phase needs unwrapping. Puckette's loose
    phase locking ("Phase-locked vocoder", WASPAA 1995) keeps the bins around a partial together:
    the phase that is advanced is that of Y[b] - Y[b-1] - Y[b+1].

    Args:
        wav: (samples,).
        ratio: duration out over duration in.

    Returns:
        (round(samples * ratio),) float32.
    """
    num_samples = round(len(wav) * ratio)
    num_frames = num_samples // HOP + 4
    # Output frame k begins at (k - 3) * HOP, and its middle corresponds to that of its input frame:
    # equal beginnings would move a sound by up to 10 ms. The input is padded for all frames.
    middles = (np.arange(num_frames) - 3) * HOP + FRAME // 2
    starts = np.rint(middles / ratio).astype(np.int64) - FRAME // 2
    before = HOP - int(starts[0])
    after = max(0, int(starts[-1]) + FRAME - len(wav))
    padded = np.concatenate([np.zeros(before, np.float32), wav, np.zeros(after, np.float32)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)
    window = hann(FRAME, sym=False).astype(np.float32)
    now = fft.rfft(frames[starts + before] * window)
    earlier = fft.rfft(frames[starts + before - HOP] * window)
    _continue_phases(now, earlier)
    out_frames = fft.irfft(now, FRAME) * window
    out = np.zeros((num_frames + 3, HOP), np.float32)
    for part in range(4):
        out[part : part + num_frames] += out_frames[:, part * HOP : (part + 1) * HOP]
    # Four squared Hann windows add up to 1.5.
    return out.reshape(-1)[3 * HOP : 3 * HOP + num_samples] / np.float32(1.5)


def _continue_phases(now: np.ndarray, earlier: np.ndarray) -> None:
    """Give each frame the phases that follow from those of the frame before it.

    Args:
        now: (frames, bins) complex64 spectra of the input; modified in place.
        earlier: (frames, bins) the spectra one hop earlier; overwritten.
    """
    tiny = np.float32(1e-30)
    # After digital silence, the input's own phase is used.
    earlier += _ONSET * now
    now *= np.conj(earlier) / (np.abs(earlier) + tiny)
    earlier *= _ONSET
    previous = np.zeros_like(now[0])
    locked = np.empty_like(previous)
    for k in range(len(now)):
        np.add(previous, earlier[k], out=locked)
        locked[1:] -= previous[:-1]
        locked[:-1] -= previous[1:]
        previous = now[k]
        previous *= locked
        previous /= np.abs(locked) + tiny
