"""HuBERT's convolutions, twice as fast and, in bf16 on a CPU, up to four times.

transformers stores (B, C, T), and its group norm reads and writes the largest tensor of the model
several times. Here the channels of a frame are contiguous, which is the fast layout of a GPU's
convolutions and, on a CPU, makes them matrix products (``product``); and the group norm is part of
the first convolution (``norm``). Results equal those of transformers up to the order of sums.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_robust.models.front.norm import convolve, convolve_plain
from espnet_robust.models.front.product import Convolution


class ConvLayer(nn.Module):
    """One layer of a transformers feature encoder: convolution, norm if there is one, activation.

    Args:
        layer: the library's layer; its parts keep their names and so their checkpoint keys.
    """

    def __init__(self, layer: Any):
        super().__init__()
        self.conv: nn.Conv1d = layer.conv
        if hasattr(layer, "layer_norm"):
            self.layer_norm = layer.layer_norm
        self.activation: nn.Module = layer.activation

    @property
    def norm(self) -> nn.Module | None:
        return getattr(self, "layer_norm", None)

    @property
    def stride(self) -> int:
        return self.conv.stride[0]

    @property
    def kernel(self) -> int:
        return self.conv.kernel_size[0]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C', T'), with the library's operations, which can be exported."""
        x = self.conv(x)
        if isinstance(self.norm, nn.LayerNorm):
            x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        elif self.norm is not None:
            x = self.norm(x)
        return self.activation(x)

    def first(self, wav: Tensor, frames: Tensor | None) -> Tensor:
        """As the first layer: samples (B, N) -> (B, T, C). ``frames`` (B,): valid ones."""
        if isinstance(self.norm, nn.GroupNorm):
            return self.activation(convolve(self.conv, self.norm, wav, frames))
        return self._rest(convolve_plain(self.conv, wav))

    def later(self, x: Tensor) -> Tensor:
        """As another layer: (B, T, C) -> (B, T', C')."""
        weight, bias = self.conv.weight, self.conv.bias
        if x.device.type != "cpu":
            return self._rest(channels_last(x, weight, bias, self.stride))
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            x, weight = x.to(dtype), weight.to(dtype)
            bias = None if bias is None else bias.to(dtype)
        return self._rest(Convolution.apply(x, weight, bias, self.stride))

    def _rest(self, x: Tensor) -> Tensor:
        if self.norm is None:
            return self.activation(x)
        # The output of a norm is needed by no gradient: a ReLU can overwrite it.
        x = self.norm(x)
        return F.relu_(x) if type(self.activation) is nn.ReLU else self.activation(x)


def channels_last(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """Convolution of (B, T, C) over time, with weights (C', C, K) -> (B, T', C'), for a GPU."""
    # conv2d, because only tensors of four dimensions have a channels-last format.
    weight = weight[:, :, None].contiguous(memory_format=torch.channels_last)
    x = F.conv2d(x.transpose(1, 2)[:, :, None], weight, bias, (1, stride))
    return x.squeeze(2).transpose(1, 2)


class Front(nn.Module):
    """Takes the place of a transformers feature encoder.

    Args:
        layers: the library's layers, for which ``can_be_fast`` is true.
    """

    def __init__(self, layers: nn.ModuleList):
        super().__init__()
        self.conv_layers = nn.ModuleList(ConvLayer(layer) for layer in layers)

    @property
    def layers(self) -> list[ConvLayer]:
        return [layer for layer in self.conv_layers if isinstance(layer, ConvLayer)]

    def forward(self, wav: Tensor) -> Tensor:
        """(B, N) -> (B, C, T)."""
        if torch.jit.is_tracing() or torch.compiler.is_compiling():
            x = wav[:, None]
            for layer in self.layers:
                x = layer(x)
            return x
        first, *others = self.layers
        counts = self.frames(wav.shape[1])
        # On a CPU every layer gets a multiple of its stride; what that gives is cut off at the end.
        unit = math.prod(layer.stride for layer in others) if wav.device.type == "cpu" else 1
        samples = (-(-counts[0] // unit) * unit - 1) * first.stride + first.kernel
        x = first.first(F.pad(wav, (0, samples - wav.shape[1])), self._valid(wav, counts[0]))
        for layer in others:
            x = layer.later(x)
        return x[:, : counts[-1]].transpose(1, 2)

    def _valid(self, wav: Tensor, count: int) -> Tensor:
        """(B,) the frames of the first layer that its norm counts."""
        frames = getattr(self.layers[0].norm, "frames", None)
        if frames is None:
            return torch.full((len(wav),), count, device=wav.device)
        return frames

    def frames(self, samples: int) -> list[int]:
        """The number of frames that each layer makes from ``samples`` samples."""
        counts = [samples]
        for layer in self.layers:
            counts.append((counts[-1] - layer.kernel) // layer.stride + 1)
        return counts[1:]

    def products(self, samples: int) -> int:
        """Multiply-accumulates of the convolutions for ``samples`` samples."""
        return sum(
            count * layer.conv.weight.numel()
            for count, layer in zip(self.frames(samples), self.layers, strict=True)
        )


def can_be_fast(layers: nn.ModuleList) -> bool:
    """Whether these are HuBERT's: plain convolutions, with norms that ``Front`` knows."""
    plain = all(_is_plain(getattr(layer, "conv", None)) for layer in layers)
    if not plain or layers[0].conv.in_channels != 1:  # type: ignore[union-attr]
        return False
    return all(_known_norm(number, layer) for number, layer in enumerate(layers))


def _is_plain(conv: Any) -> bool:
    at_once = isinstance(conv, nn.Conv1d) and conv.groups == 1
    return at_once and (conv.padding, conv.dilation) == ((0,), (1,))


def _known_norm(number: int, layer: Any) -> bool:
    norm = getattr(layer, "layer_norm", None)
    if isinstance(norm, nn.GroupNorm):
        return number == 0 and norm.num_groups == norm.num_channels and norm.affine
    return norm is None or isinstance(norm, nn.LayerNorm)


def use_front(model: nn.Module) -> None:
    """Replace every feature encoder within ``model`` like HuBERT's by a ``Front``, in place.

    Weights and their checkpoint keys stay the same.
    """
    for module in list(model.modules()):
        layers = getattr(getattr(module, "feature_extractor", None), "conv_layers", None)
        if isinstance(layers, nn.ModuleList) and can_be_fast(layers):
            module.feature_extractor = Front(layers)
