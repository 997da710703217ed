"""``encoder: blstm``: ESPnet's ``rnn`` encoder with projections, but fast on a CPU.

Dropout is off in evaluation; in ESPnet's ``rnn`` encoder with projections it stays on.
"""

from espnet2.asr.encoder.abs_encoder import AbsEncoder
from torch import Tensor

from espnet_robust.models.blstm import BLSTM


class BLSTMEncoder(BLSTM, AbsEncoder):
    """``models.blstm.BLSTM`` as an ESPnet encoder, with the same arguments."""

    def output_size(self) -> int:
        return self.size

    def forward(
        self, xs_pad: Tensor, ilens: Tensor, prev_states: None = None
    ) -> tuple[Tensor, Tensor, None]:
        """(B, T, D) and (B,) -> (B, T', ``output_size``), zero on padding, and its lengths."""
        return *self.encode(xs_pad, ilens), None
