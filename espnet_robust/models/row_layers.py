"""Layers whose output for a row does not depend on its padding or on other rows.

HuBERT Base, WavLM Base+, wav2vec 2.0 Base and similar models normalise each channel of the first
convolution over all frames of an utterance. data2vec stacks positional convolutions, each followed
by a layer norm that turns zeros in the padding into other values; so does the batch norm that
``conv_pos_batch_norm`` puts before the positional convolution. In a padded batch the padding would
leak into the utterance. With the layers here it does not, so that utterances of different lengths
can share one pass.
"""

from typing import TypeVar

import torch
from torch import Tensor, nn
from transformers.models.data2vec.modeling_data2vec_audio import Data2VecAudioPositionalConvLayer

M = TypeVar("M", bound=nn.Module)


class RowGroupNorm(nn.GroupNorm):
    """``nn.GroupNorm`` with statistics over the valid frames of each row.

    Attributes:
        frames: (B,) valid frames of the rows of the next call; None: all are valid, and this is
            ``nn.GroupNorm`` itself.
    """

    frames: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T), equal to the bias past a row's frames."""
        if self.frames is None:
            return super().forward(x)
        # float32 whatever the precision of the convolutions, as autocast does for group norm.
        with torch.autocast(x.device.type, enabled=False):
            exact = x.to(torch.promote_types(self.weight.dtype, torch.float32))
            groups = exact.unflatten(1, (self.num_groups, -1))  # (B, G, C / G, T)
            valid = _valid(x, self.frames)[:, None]
            count = (self.frames * groups.shape[2])[:, None, None, None]
            mean = groups.masked_fill(~valid, 0.0).sum((2, 3), keepdim=True) / count
            centred = (groups - mean).masked_fill(~valid, 0.0)
            variance = centred.square().sum((2, 3), keepdim=True) / count
            out = (centred * torch.rsqrt(variance + self.eps)).flatten(1, 2)
            return (out * self.weight[:, None] + self.bias[:, None]).to(self.weight.dtype)


class RowBatchNorm(nn.BatchNorm1d):
    """``nn.BatchNorm1d`` with statistics over valid frames, and zeros in the padding.

    ``frames`` as in ``RowGroupNorm``.
    """

    frames: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T), zero past a row's frames."""
        if self.frames is None:
            return super().forward(x)
        valid = _valid(x, self.frames)
        if not self.training:
            return super().forward(x).masked_fill(~valid, 0.0)
        valid = valid[:, 0]
        heard = super().forward(x.transpose(1, 2)[valid])  # (frames of all rows, C)
        out = heard.new_zeros(x.transpose(1, 2).shape)
        return out.masked_scatter(valid[..., None], heard).transpose(1, 2)


class RowPositions(Data2VecAudioPositionalConvLayer):
    """One of data2vec's positional convolutions, which leaves zeros in the padding for the next.

    ``frames`` as in ``RowGroupNorm``.
    """

    frames: Tensor | None = None

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, D, T), zero past a row's frames -> (B, D, T), likewise."""
        out = super().forward(hidden_states)
        return out if self.frames is None else out.masked_fill(~_valid(out, self.frames), 0.0)


RowLayer = RowGroupNorm | RowBatchNorm | RowPositions
_OURS: dict[type, type] = {
    nn.GroupNorm: RowGroupNorm,
    nn.BatchNorm1d: RowBatchNorm,
    Data2VecAudioPositionalConvLayer: RowPositions,
}


def use_row_layers(model: M) -> M:
    """Replace every layer within ``model`` that lets padding leak by ours, in place.

    Weights and their keys stay the same.
    """
    for layer in model.modules():
        layer.__class__ = _OURS.get(type(layer), type(layer))
    return model


def _valid(x: Tensor, frames: Tensor) -> Tensor:
    """(B, 1, T) bool: the valid frames of x (B, C, T)."""
    return (torch.arange(x.shape[-1], device=x.device) < frames[:, None])[:, None]
