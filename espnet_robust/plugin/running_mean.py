"""``normalize: running_mean``: for recognisers of streams, in place of ``utterance_mvn``."""

from espnet2.layers.abs_normalize import AbsNormalize
from torch import Tensor

from espnet_robust.models.padding import frame_mask
from espnet_robust.models.running_mean import minus_running_mean


class RunningMean(AbsNormalize):
    """Subtracts from each frame the mean of the utterance up to it; it has no options."""

    def forward(self, x: Tensor, ilens: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(B, T, D) and (B,) -> the same shapes, zero on padding."""
        x, _ = minus_running_mean(x)
        return x if ilens is None else x.masked_fill(~frame_mask(x, ilens)[..., None], 0.0), ilens
