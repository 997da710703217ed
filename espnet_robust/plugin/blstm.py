"""``encoder: blstm``: ESPnet's ``rnn`` encoder with projections, quick on a CPU.

Dropout here ends with training; that of ESPnet's ``rnn`` encoder with projections goes on when the
model is evaluated.
"""

from espnet2.asr.encoder.abs_encoder import AbsEncoder
from torch import Tensor

from espnet_robust.models.blstm import BLSTM


class BLSTMEncoder(BLSTM, AbsEncoder):
    """``models.blstm.BLSTM`` as ESPnet wants an encoder; the arguments are those."""

    def output_size(self) -> int:
        return self.size

    def forward(
        self, xs_pad: Tensor, ilens: Tensor, prev_states: None = None
    ) -> tuple[Tensor, Tensor, None]:
        """(B, T, D) and (B,) -> (B, T', ``output_size``), zero on padding, and its lengths."""
        return *self.encode(xs_pad, ilens), None
