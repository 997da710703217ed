"""``normalize: running_mean``: for recognisers of streams, in place of ``utterance_mvn``."""

from espnet2.layers.abs_normalize import AbsNormalize
from torch import Tensor

from espnet_robust.common.errors import ConfigError
from espnet_robust.models.padding import frame_mask
from espnet_robust.models.running_mean import WINDOW, minus_running_mean

LEAST = 50  # frames: an utterance, at most 700 windows, may then have 11 minutes


class RunningMean(AbsNormalize):
    """Subtracts from each frame the running mean of the frames up to it.

    Args:
        window: the number of frames that have equal weights; older ones are gradually forgotten
            (``models/running_mean.py``).

    Raises:
        ConfigError: ``window`` is not a whole number of at least ``LEAST``.
    """

    def __init__(self, window: int = WINDOW):
        super().__init__()
        if type(window) is not int or window < LEAST:
            raise ConfigError(
                f"normalize_conf: window: {window!r}: need a whole number of frames, {LEAST} or"
                " more"
            )
        self.window = window

    def forward(self, x: Tensor, ilens: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(B, T, D) and (B,) -> the same shapes, zero on padding."""
        x, _ = minus_running_mean(x, window=self.window)
        return x if ilens is None else x.masked_fill(~frame_mask(x, ilens)[..., None], 0.0), ilens
