"""Group norm over time that does not depend on a row's padding or on other rows.

HuBERT Base, WavLM Base+, wav2vec 2.0 Base and similar models normalise each channel of the first
convolution over all frames of an utterance. In a padded batch the padding would be included; here
it is not, so that utterances of different lengths can share one pass.
"""

from typing import TypeVar

import torch
from torch import Tensor, nn

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
            valid = torch.arange(x.shape[-1], device=x.device) < self.frames[:, None]
            valid = valid[:, None, None]
            count = (self.frames * groups.shape[2])[:, None, None, None]
            mean = groups.masked_fill(~valid, 0.0).sum((2, 3), keepdim=True) / count
            centred = (groups - mean).masked_fill(~valid, 0.0)
            variance = centred.square().sum((2, 3), keepdim=True) / count
            out = (centred * torch.rsqrt(variance + self.eps)).flatten(1, 2)
            return (out * self.weight[:, None] + self.bias[:, None]).to(self.weight.dtype)


def use_row_norm(model: M) -> M:
    """Replace every ``nn.GroupNorm`` within ``model`` by ours, in place; keys stay the same."""
    for layer in model.modules():
        if type(layer) is nn.GroupNorm:
            layer.__class__ = RowGroupNorm
    return model
