"""sox's own effects, through the sox package, for comparison with work that used them.

Each call starts a process; for training on the fly, ``rir``, ``pitch`` and ``band_reject`` are
faster and as good.
"""

import shutil
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import numpy as np

from espnet_robust.common.errors import ConfigError
from espnet_robust.data.audio import RATE
from espnet_robust.distortion.band import BandReject
from espnet_robust.distortion.base import Context, Kind, Values, numbers
from espnet_robust.distortion.timescale import Pitch, fit_length

_HEADROOM = 4.0  # sox clips at full scale, also between effects


@dataclass(frozen=True, kw_only=True)
class SoxReverb(Kind):
    """``sox reverb``: Freeverb, an artificial reverberation.

    Args:
        reverberance: reverberation time, per cent.
        hf_damping: damping of high frequencies, per cent.
        room_scale: size of the room, per cent.
    """

    labels: ClassVar = ("reverb",)
    reverberance: Values = field(**numbers(50, low=0, high=100))
    hf_damping: Values = field(**numbers(50, low=0, high=100))
    room_scale: Values = field(**numbers([0, 100], low=0, high=100))

    def check(self) -> None:
        _check_sox()

    def draw(self, rng: np.random.Generator, context: Context) -> dict:
        names = ("reverberance", "hf_damping", "room_scale")
        return {name: getattr(self, name).draw(rng, context.progress) for name in names}

    @staticmethod
    def apply(wav, reverberance, hf_damping, room_scale):
        return run_sox(
            wav,
            "reverb",
            reverberance=reverberance,
            high_freq_damping=hf_damping,
            room_scale=room_scale,
        )


@dataclass(frozen=True, kw_only=True)
class SoxPitch(Pitch):
    """``sox pitch``: like ``pitch``, by overlap-add in the time domain."""

    def check(self) -> None:
        _check_sox()

    @staticmethod
    def apply(wav, cents):
        return run_sox(wav, "pitch", n_semitones=cents / 100)


@dataclass(frozen=True, kw_only=True)
class SoxSinc(BandReject):
    """``sox sinc HIGH-LOW``: like ``band_reject``, 120 dB down, with sox's own transition bands."""

    def check(self) -> None:
        super().check()
        _check_sox()

    @staticmethod
    def apply(wav, low_hz, high_hz):
        return run_sox(wav, "sinc", filter_type="reject", cutoff_freq=[low_hz, high_hz])


def run_sox(wav: np.ndarray, effect: str, **options: Any) -> np.ndarray:
    """Run one effect; the length is kept.

    Args:
        wav: (samples,) float32; any peak.
        effect: a method of ``sox.Transformer``.
        options: its arguments.

    Raises:
        ConfigError: sox is not installed.
    """
    transformer = _sox().Transformer()
    getattr(transformer, effect)(**options)
    scale = np.float32(_HEADROOM * max(float(np.abs(wav).max()), 1e-9))
    out = transformer.build_array(input_array=wav / scale, sample_rate_in=RATE)
    return fit_length(out * scale, len(wav))


def _check_sox() -> None:
    if shutil.which("sox") is None:
        raise ConfigError("the kinds sox_* need the program sox; fix: apt-get install sox")


@cache
def _sox():
    _check_sox()
    # Imported here: the package warns on import if sox is missing, and few users need it.
    import sox

    return sox
