"""Reverberation with room impulse responses (RIRs), measured or simulated."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from espnet_robust.distortion.additive import MAX_SNR, MIN_SNR
from espnet_robust.distortion.base import Context, Kind, Values, data_dir, numbers, word
from espnet_robust.distortion.collection import open_collection
from espnet_robust.distortion.convolution import Filter
from espnet_robust.distortion.level import METERS, amplitude, mix, speech_power


@dataclass(frozen=True, kw_only=True)
class Rir(Kind):
    """Convolution with a room impulse response from a data dir.

    The direct path keeps its time and the speech its level; the response may be longer than the
    utterance.

    Args:
        rir: data dir of RIRs; ``utt2group`` holds the room, which is drawn before the position.
        level: how the level that is kept is measured: "whole" or "active" (see ``level.METERS``).
        noise: data dir of noise in the same room: it is convolved with another response of the
            room (the same one if there is no other) and added at ``snr_db``. None: no noise.
        snr_db: reverberated speech over reverberated noise, dB; only with ``noise``.
        rt60: reverberation time, s: a response whose own (``utt2rt60``) is near that. None: any.
    """

    labels: ClassVar = ("reverb",)
    rir: str = field(**data_dir())
    level: str = field(**word("whole", METERS))
    noise: str | None = field(**data_dir(None))
    snr_db: Values = field(**numbers([0, 20], low=MIN_SNR, high=MAX_SNR))
    rt60: Values | None = field(**numbers(None, low=0.05, high=10))

    def domain(self) -> tuple[str, ...]:
        return ("noise", "reverb") if self.noise else ("reverb",)

    def check(self) -> None:
        if self.rt60 is not None:
            _ = open_collection(self.rir).known_rt60

    def uses_snr_db(self) -> bool:
        return self.noise is not None

    def draw(self, rng: np.random.Generator, context: Context) -> dict:
        rirs = open_collection(self.rir)
        if self.rt60 is None:
            item = rirs.draw_item(rng)
        else:
            item = rirs.draw_near(rng, self.rt60.draw(rng, context.progress))
        drawn = {"rir": self.rir, "item": item, "level": self.level}
        if self.noise is None:
            return drawn
        room = rirs.group_of[item] if rirs.group_of else ""
        crop = open_collection(self.noise).draw_crop(rng, context.num_samples)
        return drawn | {
            "noise": self.noise,
            "crop": list(crop),
            "noise_item": rirs.draw_item(rng, group=room, exclude=item),
            "snr_db": self.snr_db.draw(rng, context.progress),
        }

    @staticmethod
    def apply(wav, rir, item, level, noise=None, crop=None, noise_item=None, snr_db=None):
        rirs = open_collection(rir)
        out = reverberate(wav, *rirs.rir(item), level)
        if noise is None:
            return out
        source, offset = crop
        sound = open_collection(noise).crop(source, offset, len(wav))
        return mix(out, reverberate(sound, *rirs.rir(noise_item), "whole"), snr_db, level)


def reverberate(wav: np.ndarray, taps: Filter, direct: int, level: str) -> np.ndarray:
    """Convolve, put the direct path (index ``direct`` of the taps) at delay 0, keep the level."""
    out = taps(wav, direct)
    return out * amplitude(speech_power(wav, level), speech_power(out, level))
