"""HuBERT's positional convolution, one group of channels at a time.

It has 16 groups with a kernel of 128 frames, for which a GPU's library has no fast kernel in bf16:
it took longer than the rest of the model. Each group alone is an ordinary convolution.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GroupedConv(nn.Conv1d):
    """``nn.Conv1d`` with groups and stride 1, faster on a GPU and, in float32, on a CPU."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """(B, D, T) -> (B, D', T')."""
        if not _is_faster(x):
            return super()._conv_forward(x, weight, bias)
        if torch.is_autocast_enabled(x.device.type):
            dtype = torch.get_autocast_dtype(x.device.type)
            x, weight = x.to(dtype), weight.to(dtype)
        pad = int(self.padding[0])
        parts = F.pad(x, (pad, pad)).unflatten(1, (self.groups, -1))  # (B, G, D / G, T)
        # Channels last: the channels of a frame are contiguous.
        parts = parts.permute(1, 0, 3, 2).contiguous().permute(0, 1, 3, 2)
        kernels = weight.permute(0, 2, 1).contiguous().permute(0, 2, 1).chunk(self.groups)
        out = [
            F.conv2d(part[:, :, None], kernel[:, :, None])
            for part, kernel in zip(parts, kernels, strict=True)
        ]
        joined = torch.cat(out, 1).squeeze(2)
        return joined if bias is None else joined + bias[:, None]


def _is_faster(x: Tensor) -> bool:
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return False
    if x.device.type != "cpu":
        return True
    return x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


def use_grouped_convolutions(model: nn.Module) -> None:
    """Make every grouped ``nn.Conv1d`` within ``model`` a ``GroupedConv``, in place.

    Weights and their checkpoint keys stay the same, weight norm too. Depthwise convolutions, as in
    w2v-BERT 2.0, stay as they are: one by one, their 1024 channels take 20 times as long.
    """
    for conv in model.modules():
        if not isinstance(conv, nn.Conv1d) or isinstance(conv, GroupedConv):
            continue
        if conv.groups in (1, conv.in_channels):
            continue
        if (conv.stride, conv.dilation, conv.padding_mode) == ((1,), (1,), "zeros"):
            # Weight norm gives a layer a class of its own.
            kind = type(conv)
            named = type(kind.__name__, (GroupedConv, kind), {})
            conv.__class__ = GroupedConv if kind is nn.Conv1d else named
