"""Subtract the mean of the frames so far: for streams, whose whole mean is unknown."""

import torch
from torch import Tensor

WINDOW = 1000  # frames: 20 s of 20 ms, more than the crops on which students are distilled


def minus_running_mean(
    x: Tensor, before: Tensor | None = None, window: int = WINDOW
) -> tuple[Tensor, Tensor]:
    """(B, T, D) and the state before it -> each frame minus the running mean of the frames up to
    and including it, and the new state.

    The first ``window`` frames have equal weights. From then on the weight of a frame falls by
    1 - 1 / window with each further one, so that the mean follows a stream whose channel changes:
    after ``window`` frames of the new channel, 1 / e of the old one is left.

    The state (B, 1, D + 1) float64 holds the weighted sum of each value and the sum of the weights,
    at most ``window``; in float32 the sums would be off by more than the values. None: x begins
    the utterance. One call takes at most 700 windows (float64 holds no larger weights).
    """
    values = torch.cat([x.double(), torch.ones_like(x[..., :1]).double()], -1)
    count = torch.arange(1, x.shape[1] + 1, device=x.device)[:, None]
    if before is None:
        before = torch.zeros_like(values[:, :1])
    forgotten = (before[..., -1:] + count - window).clamp(min=0.0)
    decay = torch.pow(1 - 1 / window, forgotten)
    sums = ((values / decay).cumsum(1) + before) * decay
    return (x - sums[..., :-1] / sums[..., -1:]).to(x.dtype), sums[:, -1:]
