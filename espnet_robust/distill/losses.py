"""Distances between a student's predictions and a teacher's hidden states.

Each takes prediction and target (frames, D), valid frames only, and returns a scalar. A YAML names
them with their weights: ``loss_conf: {l1: 1.0, cosine: 1.0}``.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet_robust.errors import ConfigError


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """mean |s - t|, the first term of DistilHuBERT's loss (arXiv:2110.01900, eq. 1)."""
    return F.l1_loss(prediction, target)


def cosine(prediction: Tensor, target: Tensor) -> Tensor:
    """- mean log sigmoid(cos(s, t)), the second term of DistilHuBERT's loss."""
    return -F.logsigmoid(F.cosine_similarity(prediction, target, dim=-1)).mean()


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """mean (s - t)^2."""
    return F.mse_loss(prediction, target)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": l1, "cosine": cosine, "mse": mse}


def check_loss_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """The named weights; ConfigError for an unknown name, a negative weight or none at all."""
    if unknown := sorted(set(weights) - set(LOSSES)):
        raise ConfigError(
            f"loss_conf: unknown loss {', '.join(unknown)}; known: {', '.join(LOSSES)}"
        )
    if not weights or any(w < 0 for w in weights.values()) or not any(weights.values()):
        raise ConfigError(f"loss_conf: need at least one positive weight, got {dict(weights)}")
    return {name: float(weight) for name, weight in weights.items()}


def valid_frames(states: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, D) and (B,) -> (sum of lengths, D): every frame that is not padding."""
    return states[frame_mask(states, lengths)]


def frame_mask(states: Tensor, lengths: Tensor) -> Tensor:
    """(B, T) bool, true on frames that are not padding."""
    return torch.arange(states.shape[1], device=states.device) < lengths[:, None]
