"""HuBERT's convolution layers, two to three times as fast on a CPU.

transformers stores (B, C, T) and transposes back and forth around every layer norm. oneDNN's
convolutions are fastest if the channels of one frame are contiguous, which the norm needs too. So
here (B, C, T) is a view of (B, T, C). Results equal those of transformers up to the order of
float32 sums; on a GPU, the library's convolution runs.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import grad


class ConvLayer(nn.Module):
    """One layer of a transformers feature encoder: convolution, norm if there is one, activation.

    Args:
        layer: the library's layer; its parts keep their names and so their checkpoint keys.
    """

    def __init__(self, layer: Any):
        super().__init__()
        self.conv: nn.Conv1d = layer.conv
        self.layer_norm = getattr(layer, "layer_norm", None)
        self.activation: nn.Module = layer.activation

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C', T')."""
        x = self._convolve(x) if x.device.type == "cpu" else self.conv(x)
        if isinstance(self.layer_norm, nn.LayerNorm):
            x = self.layer_norm(x.transpose(1, 2)).transpose(1, 2)
        elif self.layer_norm is not None:  # group norm
            x = self.layer_norm(x)
        return self.activation(x)

    def _convolve(self, x: Tensor) -> Tensor:
        weight, bias = self.conv.weight, self.conv.bias
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            x, weight = x.to(dtype), weight.to(dtype)
            bias = None if bias is None else bias.to(dtype)
        # conv2d, because only tensors of four dimensions have a channels-last format.
        weight = weight[:, :, None].contiguous(memory_format=torch.channels_last)
        x = x[:, :, None].contiguous(memory_format=torch.channels_last)
        # squeeze, because the gradient of indexing is a copy.
        return _Convolution.apply(x, weight, bias, self.conv.stride[0]).squeeze(2)


class _Convolution(torch.autograd.Function):
    """conv2d of (B, C, 1, T) with (C', C, 1, K), all channels last.

    oneDNN has no fast channels-last kernel for the gradient of the weights; K matrix products with
    a suitable memory layout take a fifth of its time with 512 channels.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = (1, stride)
        return F.conv2d(x, weight, bias, ctx.stride)

    @staticmethod
    def backward(ctx: Any, out: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wanted_x, wanted_weight, wanted_bias, _ = ctx.needs_input_grad
        by_x = by_weight = by_bias = None
        out = out.contiguous(memory_format=torch.channels_last)
        if wanted_x:
            by_x = grad.conv2d_input(x.shape, weight, out, ctx.stride)
        if wanted_weight:
            by_weight = _by_weight(x.squeeze(2), weight.shape[3], out.squeeze(2), ctx.stride[1])
        if wanted_bias:
            by_bias = out.sum((0, 2, 3))
        return by_x, by_weight, by_bias, None


def _by_weight(x: Tensor, width: int, out: Tensor, stride: int) -> Tensor:
    """(B, C, T) and the gradient (B, C', T') -> (C', C, 1, K); one product per kernel position."""
    last = stride * (out.shape[2] - 1) + 1
    frames = x.transpose(1, 2)
    places = [torch.bmm(out, frames[:, k : k + last : stride]).sum(0) for k in range(width)]
    return torch.stack(places, dim=-1)[:, :, None]


def use_fast_layers(feature_extractor: Any) -> None:
    """Replace the library's layers by ours, with the same weights.

    A stack with group norm is left alone, because that norm needs the library's memory layout.
    """
    # The library requires the gradient of the samples, for activation checkpointing.
    feature_extractor._requires_grad = False
    layers = feature_extractor.conv_layers
    if not isinstance(getattr(layers[-1], "layer_norm", None), nn.LayerNorm):
        return
    feature_extractor.conv_layers = nn.ModuleList(ConvLayer(layer) for layer in layers)
