"""The group norm after HuBERT's first convolution, folded into that convolution.

HuBERT Base, WavLM Base+ and similar models normalise each channel of the first convolution over
all frames of an utterance. Its output is by far the largest tensor of the model, 6.5 MB a second of
audio, which the norm would read and write several times. Its moments follow from those of the
samples: with w the weights of a channel and x the samples under it, E[wx] = w E[x] and
Var[wx] = w Cov[x] w'. So the norm is a scale and a shift for each row and channel, known before
the convolution runs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def windows(wav: Tensor, kernel: int, stride: int) -> Tensor:
    """The samples (B, N) under each frame of a convolution: (B, T, kernel)."""
    end = wav.shape[1] - kernel + 1
    # Slices, because ONNX has no unfold for any length.
    return torch.stack([wav[:, k : end + k : stride] for k in range(kernel)], 2)


def scale_and_shift(
    conv: nn.Conv1d, norm: nn.GroupNorm, wav: Tensor, frames: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What ``norm``, one group per channel, does to the output of ``conv`` for samples (B, N).

    Args:
        conv: has one input channel. Its bias does not matter.
        frames: (B,) valid frames of each row; None: all are.

    Returns:
        scale, shift (B, C) of dtype float64: norm(w x + bias) = scale w x + shift.
    """
    # float64: with speech, which has little energy in high frequencies, the variance of some
    # channels is a small difference of large numbers.
    x = windows(wav, conv.kernel_size[0], conv.stride[0]).double()
    count = torch.as_tensor(x.shape[1], device=wav.device)
    if frames is not None:
        place = torch.arange(x.shape[1], device=wav.device)
        x = x.masked_fill((place >= frames[:, None])[..., None], 0.0)
        count = frames[:, None, None]
    mean = x.sum(1, keepdim=True) / count  # (B, 1, K)
    covariance = x.transpose(1, 2) @ x / count - mean.transpose(1, 2) * mean
    weight = conv.weight[:, 0].double()
    variance = ((weight @ covariance) * weight).sum(-1).clamp(min=0.0)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return scale, norm.bias - scale * (mean * weight).sum(-1)


def convolve(conv: nn.Conv1d, norm: nn.GroupNorm, wav: Tensor, frames: Tensor | None) -> Tensor:
    """norm(conv(x)) of samples (B, N) -> (B, T, C), in ``wav``'s dtype.

    The arguments are those of ``scale_and_shift``. Frames past a row's own are undefined.
    """
    scale, shift = scale_and_shift(conv, norm, wav, frames)
    # The weights are scaled rather than the output, so that it is written once.
    weight = scale[..., None] * conv.weight[:, 0].double()  # (B, C, K)
    x = windows(wav, conv.kernel_size[0], conv.stride[0])
    # The shift is the weight of a constant input: adding it would be one more pass.
    x = F.pad(x, (0, 1), value=1.0)
    return x @ torch.cat([weight, shift[..., None]], 2).to(x.dtype).transpose(1, 2)


def convolve_plain(conv: nn.Conv1d, wav: Tensor) -> Tensor:
    """conv(x) of samples (B, N) -> (B, T, C)."""
    x = windows(wav, conv.kernel_size[0], conv.stride[0])
    return F.linear(x, conv.weight[:, 0], conv.bias)
