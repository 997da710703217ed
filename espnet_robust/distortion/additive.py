"""Additive distortions: recorded noise, generated noise and babble."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np
from scipy import fft

from espnet_robust.data.audio import RATE
from espnet_robust.distortion.base import Context, Kind, Values, data_dir, numbers, word
from espnet_robust.distortion.collection import open_collection
from espnet_robust.distortion.level import METERS, amplitude, mix, power
from espnet_robust.distortion.seeding import draw_seed, generator

MIN_SNR, MAX_SNR = -60, 120  # dB; beyond these, speech or noise is below 16-bit resolution


@dataclass(frozen=True, kw_only=True)
class Additive(Kind):
    """Args:
    snr_db: speech over noise, dB. A step without it uses that of the config or condition.
    level: how speech is measured: "active" (active speech only, ITU-T P.56) or "whole" (utterance).
    """

    snr_db: Values = field(**numbers([0, 20], low=MIN_SNR, high=MAX_SNR))
    level: str = field(**word("active", METERS))

    def _draw_mix(self, rng: np.random.Generator, context: Context) -> dict:
        return {"snr_db": self.snr_db.draw(rng, context.progress), "level": self.level}


@dataclass(frozen=True, kw_only=True)
class Noise(Additive):
    """Recorded noise: random crops of the items of a data dir.

    Args:
        noise: data dir of the noise; with ``utt2group``, the group is drawn first.
        count: number of noises at once, all at the same level; the SNR is that of their sum.
    """

    labels: ClassVar = ("noise",)
    noise: str = field(**data_dir())
    count: Values = field(**numbers(1, low=1, high=16, whole=True))

    def draw(self, rng: np.random.Generator, context: Context) -> dict:
        drawn = self._draw_mix(rng, context)
        noise = open_collection(self.noise)
        count = self.count.draw_whole(rng, context.progress)
        crops = [list(noise.draw_crop(rng, context.num_samples)) for _ in range(count)]
        return drawn | {"noise": self.noise, "crops": crops}

    @staticmethod
    def apply(wav, snr_db, level, noise, crops):
        """crops: [[item, first sample], ...] of the data dir ``noise``."""
        return mix(wav, sum_crops(noise, crops, len(wav)), snr_db, level)


@dataclass(frozen=True, kw_only=True)
class Babble(Additive):
    """Several other utterances at once.

    Args:
        speech: data dir of the voices; the utterance being distorted is not used.
        voices: number of voices.
    """

    labels: ClassVar = ("babble",)
    speech: str = field(**data_dir())
    voices: Values = field(**numbers([3, 6], low=1, high=64, whole=True))

    def draw(self, rng: np.random.Generator, context: Context) -> dict:
        drawn = self._draw_mix(rng, context)
        speech = open_collection(self.speech)
        voices = self.voices.draw_whole(rng, context.progress)
        crops = [
            list(speech.draw_crop(rng, context.num_samples, exclude=context.utt_id))
            for _ in range(voices)
        ]
        return drawn | {"speech": self.speech, "crops": crops}

    @staticmethod
    def apply(wav, snr_db, level, speech, crops):
        """crops: [[utterance, first sample], ...] of the data dir ``speech``."""
        return mix(wav, sum_crops(speech, crops, len(wav)), snr_db, level)


def sum_crops(path: str, crops: list, num_samples: int) -> np.ndarray:
    """(num_samples,) sum of crops of a data dir, each at the same level."""
    collection = open_collection(path)
    if len(crops) == 1:
        ((item, offset),) = crops
        return collection.crop(item, offset, num_samples)
    total = np.zeros(num_samples, np.float32)
    for item, offset in crops:
        crop = collection.crop(item, offset, num_samples)
        total += crop * amplitude(1.0, power(crop))
    return total


@dataclass(frozen=True, kw_only=True)
class White(Additive):
    """White Gaussian noise."""

    labels: ClassVar = ("white",)

    def draw(self, rng: np.random.Generator, context: Context) -> dict:
        return self._draw_mix(rng, context) | {"seed": draw_seed(rng)}

    @staticmethod
    def apply(wav, snr_db, level, seed):
        return mix(wav, generator(seed).standard_normal(len(wav), np.float32), snr_db, level)


@dataclass(frozen=True, kw_only=True)
class Coloured(Additive):
    """Gaussian noise whose power falls as 1 / f ** exponent above 20 Hz.

    Args:
        exponent: 1 pink, 2 brown (-6 dB an octave), 0 white, -1 blue, -2 violet.
    """

    labels: ClassVar = ("coloured",)
    exponent: Values = field(**numbers({"choice": [1, 2, -1]}, low=-3, high=3))

    def draw(self, rng: np.random.Generator, context: Context) -> dict:
        exponent = self.exponent.draw(rng, context.progress)
        return self._draw_mix(rng, context) | {"exponent": exponent, "seed": draw_seed(rng)}

    @staticmethod
    def apply(wav, snr_db, level, exponent, seed):
        return mix(wav, coloured_noise(len(wav), exponent, seed), snr_db, level)


def coloured_noise(num_samples: int, exponent: float, seed: int) -> np.ndarray:
    """(num_samples,) float32: the inverse FFT of a Gaussian spectrum with the wanted slope."""
    size = fft.next_fast_len(num_samples, real=True)
    bins = size // 2 + 1
    spectrum = generator(seed).standard_normal(2 * bins, np.float32).view(np.complex64)
    spectrum *= np.exp(np.float32(-exponent / 2) * _log_frequencies(size))
    spectrum[0] = 0
    return fft.irfft(spectrum, size)[:num_samples]


@lru_cache(maxsize=8)
def _log_frequencies(size: int) -> np.ndarray:
    """Logarithm of f / 1 kHz in each bin, constant below 20 Hz."""
    hz = np.fft.rfftfreq(size, 1 / RATE)
    return np.log(np.maximum(hz, 20) / 1000).astype(np.float32)
