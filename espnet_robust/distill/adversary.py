"""Domain adversarial training (Ganin et al., arXiv:1505.07818) on a student's hidden states.

A classifier learns the domain of an utterance from the student's representation; the reversed
gradient teaches the student to give it away as little as it can.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_robust.distill.losses import frame_mask
from espnet_robust.errors import ConfigError


@dataclass(frozen=True)
class AdversaryConfig:
    """How the domain classifier is attached.

    Attributes:
        domains: ``binary`` (clean / distorted) or ``multi`` (one class for each kind).
        layers: student layers it hears; ``None`` is the last one.
        pooled: one decision an utterance from the mean over its frames, or one a frame.
        hidden: units of the classifier's hidden layer.
        weight: lambda_max, the final weight of the reversed gradient.
        ramp: the 10 of ``lambda(p) = lambda_max (2 / (1 + exp(-ramp p)) - 1)``, p the training
            progress in [0, 1]. 0 holds lambda at lambda_max throughout.
    """

    domains: str = "binary"
    layers: Sequence[int] | None = None
    pooled: bool = True
    hidden: int = 128
    weight: float = 0.1
    ramp: float = 10.0

    def __post_init__(self):
        if self.domains not in ("binary", "multi"):
            raise ConfigError(f"dat_conf: domains: {self.domains!r} is not binary or multi")
        if self.weight < 0 or self.ramp < 0:
            raise ConfigError("dat_conf: weight and ramp must not be negative")


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * grad, None


def reverse_gradient(x: Tensor, scale: float) -> Tensor:
    """Identity forwards; multiplies the gradient by ``-scale`` backwards."""
    return _ReverseGradient.apply(x, scale)


def ramp(progress: float, config: AdversaryConfig) -> float:
    """lambda at training progress in [0, 1] (arXiv:1505.07818, section 5.2.2)."""
    if config.ramp == 0:
        return config.weight
    return config.weight * (2 / (1 + math.exp(-config.ramp * progress)) - 1)


def domain_labels(kinds: Sequence[str], config: AdversaryConfig) -> dict[str, int]:
    """{kind of distortion: class}. ``clean`` is class 0."""
    if config.domains == "binary":
        return {kind: int(kind != "clean") for kind in kinds}
    others = sorted(set(kinds) - {"clean"})
    return {"clean": 0} | {kind: i for i, kind in enumerate(others, 1)}


class Adversary(nn.Module):
    """The domain classifier behind the reversed gradient.

    Args:
        size: D of the student.
        num_layers: depth of the student, to check ``config.layers``.
        num_domains: classes.
    """

    def __init__(self, size: int, num_layers: int, num_domains: int, config: AdversaryConfig):
        super().__init__()
        self.config = config
        self.layers = tuple(config.layers) if config.layers else (num_layers,)
        if beyond := [layer for layer in self.layers if not 0 <= layer <= num_layers]:
            raise ConfigError(f"dat_conf: layers: {beyond[0]} is not in 0..{num_layers}")
        self.classifier = nn.Sequential(
            nn.Linear(size * len(self.layers), config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, num_domains),
        )

    def forward(
        self, states: dict[int, Tensor], lengths: Tensor, domain: Tensor, progress: float
    ) -> tuple[Tensor, Tensor]:
        """states {layer: (B, T, D)}, lengths (B,), domain (B,) int64 -> cross entropy, accuracy.

        The cross entropy trains the classifier as it stands; through the reversed gradient it
        reaches the student times ``-ramp(progress)``.
        """
        x = torch.cat([states[layer] for layer in self.layers], dim=-1)
        x = reverse_gradient(x, ramp(progress, self.config))
        mask = frame_mask(x, lengths)
        if self.config.pooled:
            x = x.masked_fill(~mask[..., None], 0.0).sum(1) / lengths[:, None]
        else:
            domain = domain[:, None].expand(mask.shape)[mask]
            x = x[mask]
        logits = self.classifier(x).float()
        accuracy = (logits.detach().argmax(-1) == domain).float().mean()
        return F.cross_entropy(logits, domain), accuracy
