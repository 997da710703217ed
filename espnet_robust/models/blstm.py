"""LSTM layers over padded sequences, each followed by a linear projection.

ESPnet packs the batch, and torch trains packed LSTMs step by step; on padded sequences oneDNN
processes the whole sequence at once. Uses only torch operations that ONNX supports.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from espnet_robust.common.errors import ConfigError
from espnet_robust.common.ranges import Range
from espnet_robust.models.padding import frame_mask


class BLSTM(nn.Module):
    """LSTM layers, each followed by a linear projection, with tanh between layers.

    Equal to ESPnet's ``RNNEncoder(rnn_type="lstm", use_projection=True)`` with the same weights.

    Args:
        input_size: dimension of the frames.
        output_size: dimension of each projection.
        hidden_size: LSTM units in each direction.
        num_layers: number of LSTM layers.
        subsample: a number n for each layer, of whose frames every n-th is kept.
        dropout: dropout probability on the projections between layers.
        bidirectional: whether layers also read backwards; if not, ``step`` can process a stream.
        start_dropout: number of output frames. In training, the first frames of half of the
            utterances are set to zero, so that layers above cannot rely on a guess at what comes
            later: what has been said must be output after it.

    Raises:
        ConfigError: ``subsample`` does not consist of ``num_layers`` positive numbers, or
            another number is none that it can be.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int = 320,
        hidden_size: int = 320,
        num_layers: int = 4,
        subsample: Sequence[int] = (2, 2, 1, 1),
        dropout: float = 0.0,
        bidirectional: bool = True,
        start_dropout: int = 0,
    ):
        super().__init__()
        sizes = {"num_layers": num_layers, "hidden_size": hidden_size, "output_size": output_size}
        for name, value in sizes.items():
            Range(1).check(f"encoder_conf: {name}", value)
        _check_subsample(subsample, num_layers)
        Range(0, 1, whole=False).check("encoder_conf: dropout", dropout)
        Range(0).check("encoder_conf: start_dropout", start_dropout)
        self.size, self.subsample, self.dropout = output_size, tuple(subsample), dropout
        self.start_dropout = start_dropout
        self.bidirectional, self.hidden_size = bidirectional, hidden_size
        self.lstms, self.projections = nn.ModuleList(), nn.ModuleList()
        for layer in range(num_layers):
            size = output_size if layer else input_size
            lstm = nn.LSTM(size, hidden_size, batch_first=True, bidirectional=bidirectional)
            self.lstms.append(lstm)
            self.projections.append(nn.Linear((1 + bidirectional) * hidden_size, output_size))

    def encode(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, T, D) and lengths (B,), or None if no row is padded -> (B, T', ``output_size``), zero
        on padding, and its lengths.
        """
        layers = zip(self.lstms, self.projections, self.subsample, strict=True)
        for layer, (lstm, projection, step) in enumerate(layers):
            if layer:
                x = torch.tanh(F.dropout(x, self.dropout, self.training))
            if lengths is None or not self.bidirectional:  # there is no padding before any frame
                out = lstm(x)[0]
            else:
                out = both_directions(lstm, x, lengths)
            x = projection(out[:, ::step])
            lengths = None if lengths is None else (lengths + step - 1) // step
        if self.training and self.start_dropout:
            dropped = torch.rand(len(x), 1, 1, device=x.device) < 0.5
            x = torch.cat([x[:, : self.start_dropout].masked_fill(dropped, 0.0),
                           x[:, self.start_dropout :]], 1)  # fmt: skip
        if lengths is None:
            return x, None
        return x.masked_fill(~frame_mask(x, lengths)[..., None], 0.0), lengths

    def first_state(self) -> Tensor:
        """The state at the beginning of a stream: (layers, 2, 1, ``hidden_size``), h and c."""
        return torch.zeros(len(self.lstms), 2, 1, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (1, T, D) of a stream and the state before them -> output (1, T', ``output_size``)
        and the next state. T is a multiple of all ``subsample`` together, except at the end.
        """
        states = []
        layers = zip(self.lstms, self.projections, self.subsample, state, strict=True)
        for layer, (lstm, projection, step, (h, c)) in enumerate(layers):
            x, after = lstm(torch.tanh(x) if layer else x, (h[None], c[None]))
            x = projection(x[:, ::step])
            states.append(torch.cat(after))
        return x, torch.stack(states)


def _check_subsample(subsample: Sequence[int], num_layers: int) -> None:
    """Raise ConfigError unless there is one positive number for each layer."""
    is_list = isinstance(subsample, Sequence) and not isinstance(subsample, str)
    if not is_list or len(subsample) != num_layers:
        raise ConfigError(
            f"encoder_conf: subsample: need a list of {num_layers}, one number for each layer "
            f"(num_layers), got {subsample!r}"
        )
    for step in subsample:
        Range(1).check("encoder_conf: subsample", step)


def both_directions(lstm: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, 2H): a bidirectional layer whose backward pass starts at each row's own last frame."""
    if not isinstance(lstm, nn.LSTM):  # quantised: its weights cannot be taken out
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(lstm(packed)[0], True, total_length=x.shape[1])[0]
    time = torch.arange(x.shape[1], device=x.device)
    back = torch.where(frame_mask(x, lengths), lengths[:, None] - 1 - time, time)
    backwards = _reordered(_one_direction(lstm, _reordered(x, back), "_reverse"), back)
    return torch.cat([_one_direction(lstm, x, ""), backwards], dim=-1)


def _reordered(x: Tensor, order: Tensor) -> Tensor:
    return x.gather(1, order[..., None].expand_as(x))


def _one_direction(lstm: nn.LSTM, x: Tensor, suffix: str) -> Tensor:
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    weights = [getattr(lstm, name + suffix) for name in names]
    zeros = x.new_zeros(1, x.shape[0], lstm.hidden_size)
    return torch.lstm(
        x, [zeros, zeros], weights,
        has_biases=True, num_layers=1, dropout=0.0, train=lstm.training, bidirectional=False,
        batch_first=True,
    )[0]  # fmt: skip
