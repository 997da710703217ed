"""Subtract the mean of the frames so far: for streams, whose whole mean is unknown."""

import torch
from torch import Tensor


def minus_running_mean(x: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """(B, T, D) and the state before it -> each frame minus the mean of all frames up to and
    including it, and the new state.

    The state (B, 1, D + 1) float64 holds the sum of each value and the number of frames; in
    float32 the sums of an hour would be off by more than the values. None: x begins the utterance.
    """
    sums = torch.cat([x.double(), torch.ones_like(x[..., :1]).double()], -1).cumsum(1)
    if before is not None:
        sums = sums + before
    return (x - sums[..., :-1] / sums[..., -1:]).to(x.dtype), sums[:, -1:]
