"""Simple distortions: none, gain, clipping, lost packets."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from espnet_robust.data.audio import RATE
from espnet_robust.distortion.base import Context, Kind, Values, numbers


@dataclass(frozen=True, kw_only=True)
class Clean(Kind):
    """Nothing."""

    labels: ClassVar = ()

    def draw(self, rng: np.random.Generator, context: Context) -> dict:
        return {}

    @staticmethod
    def apply(wav):
        return wav.copy()


@dataclass(frozen=True, kw_only=True)
class Gain(Kind):
    """Turn up or down. A peak above full scale is turned down again at the end of the chain.

    Args:
        gain_db: gain, dB.
    """

    labels: ClassVar = ("gain",)
    gain_db: Values = field(**numbers([-20, 0], low=-80, high=40))

    def draw(self, rng: np.random.Generator, context: Context) -> dict:
        return {"gain_db": self.gain_db.draw(rng, context.progress)}

    @staticmethod
    def apply(wav, gain_db):
        return wav * np.float32(10 ** (gain_db / 20))


@dataclass(frozen=True, kw_only=True)
class Clip(Kind):
    """Hard clipping, as by an overdriven microphone.

    Args:
        overdrive_db: how far the peak exceeds the ceiling, dB. 0 is identity.
    """

    labels: ClassVar = ("clip",)
    overdrive_db: Values = field(**numbers([3, 15], low=0, high=60))

    def draw(self, rng: np.random.Generator, context: Context) -> dict:
        return {"overdrive_db": self.overdrive_db.draw(rng, context.progress)}

    @staticmethod
    def apply(wav, overdrive_db):
        ceiling = np.float32(np.abs(wav).max() * 10 ** (-overdrive_db / 20))
        return np.clip(wav, -ceiling, ceiling)


@dataclass(frozen=True, kw_only=True)
class Dropout(Kind):
    """Packets lost in bursts and replaced by silence (the Gilbert model).

    Args:
        loss: mean share of lost packets, in [0, 1].
        packet_ms: length of a packet, ms.
        burst: mean number of packets lost in a row; larger if ``loss`` needs longer bursts.
    """

    labels: ClassVar = ("dropout",)
    loss: Values = field(**numbers([0.02, 0.2], low=0, high=0.9))
    packet_ms: Values = field(**numbers(20, low=1, high=1000))
    burst: Values = field(**numbers([1, 4], low=1, high=100))

    def draw(self, rng: np.random.Generator, context: Context) -> dict:
        loss, packet_ms, burst = (
            values.draw(rng, context.progress) for values in (self.loss, self.packet_ms, self.burst)
        )
        packet = max(1, round(packet_ms * RATE / 1000))
        spans: list[list[int]] = []
        at = 0
        packets = -(-context.num_samples // packet)
        # The mean gap between bursts follows from loss = burst / (burst + gap). It is at least one
        # packet, so a high loss needs longer bursts.
        burst = max(burst, loss / (1 - loss))
        # Rounding may bring that packet slightly below 1.
        gap = max(1.0, burst * (1 - loss) / loss) if loss else np.inf
        lost = rng.random() < loss
        while at < packets and np.isfinite(gap):
            run = int(rng.geometric(1 / burst if lost else 1 / gap))
            if lost:
                spans.append([at * packet, run * packet])
            at, lost = at + run, not lost
        return {"spans": spans}

    @staticmethod
    def apply(wav, spans):
        """spans: [[first sample, samples], ...] of silence."""
        out = wav.copy()
        for start, length in spans:
            out[start : start + length] = 0
        return out
