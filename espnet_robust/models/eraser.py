"""Erase a few directions from the hidden states of an encoder, frame by frame.

    y_t = x_t - ((x_t - m) R) W        R (D, rank), W (rank, D), W R = 1: R W is a projection

``distill/erasure.py`` fits R and W to the directions in which distortion moves an utterance. The
map is the same for every frame, and a frame depends on nothing but itself: neither padding nor the
rest of a batch can reach it, and a stream or a window of a long file gets what the whole utterance
gets. Its mean over time is that of the utterance without these directions. To subtract only the
shift of the mean would keep more of each frame, but needs the end of the utterance. It would save
little: if R is chosen relative to how much frames vary, speech hardly uses these directions
(egs/mini/asr1/RESULTS.md, The domain).

The layers are not connected through it: each is computed from what it would be without.

Student directories hold a copy of this file, with which plain transformers loads them, so it
imports nothing from this package.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput


class Eraser(nn.Module):
    """Hidden states of all layers, each (..., D) -> the same without what was erased.

    Args:
        layers: number of hidden states: one more than the encoder has layers.
        size: D.
        rank: number of directions erased from each.

    Attributes:
        read: (layers, D, rank), R.
        offset: (layers, rank), m R.
        write: (layers, rank, D), W. Zeros, until it is fitted or loaded.
    """

    read: Tensor
    offset: Tensor
    write: Tensor

    def __init__(self, layers: int, size: int, rank: int):
        super().__init__()
        self.register_buffer("read", torch.zeros(layers, size, rank))
        self.register_buffer("offset", torch.zeros(layers, rank))
        self.register_buffer("write", torch.zeros(layers, rank, size))

    @property
    def rank(self) -> int:
        """Number of directions erased from each layer."""
        return self.offset.shape[1]

    def layer(self, x: Tensor, number: int) -> Tensor:
        """(..., D) of one layer."""
        read, offset, write = (
            values[number].to(x.dtype) for values in (self.read, self.offset, self.write)
        )
        return x - (x @ read - offset) @ write

    def forward(self, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(self.layer(x, number) for number, x in enumerate(states))


class ErasedConfig(PretrainedConfig):
    """An encoder and its eraser. ``encoder``: the encoder's configuration; ``rank``: see Eraser."""

    model_type = "erased"

    def __init__(self, encoder: dict[str, Any] | None = None, rank: int = 1, **kwargs: Any):
        self.encoder = dict(encoder or {})
        self.rank = rank
        super().__init__(**kwargs)


class ErasedModel(PreTrainedModel):
    """What ``AutoModel`` makes of a student with an eraser: the student's hidden states, erased.

    Raises:
        ValueError: the encoder is one that transformers lacks.
    """

    config_class = ErasedConfig
    main_input_name = "input_values"

    def __init__(self, config: ErasedConfig):
        super().__init__(config)
        arch = dict(config.encoder)
        kind = arch.pop("model_type", None)
        try:
            inner = AutoConfig.for_model(kind, **arch)
        except ValueError as e:
            raise ValueError(
                f"a student of kind {kind} with erased directions cannot be loaded by transformers "
                "alone; use espnet_robust.models.student.load_student"
            ) from e
        self.encoder = AutoModel.from_config(inner)
        self.eraser = Eraser(inner.num_hidden_layers + 1, inner.hidden_size, config.rank)
        self.post_init()

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """As the encoder's: (B, N) samples -> (B, T, D) per layer."""
        out = self.encoder(
            input_values, attention_mask=attention_mask, output_hidden_states=True, **kwargs
        )
        states = self.eraser(out.hidden_states)
        return BaseModelOutput(
            last_hidden_state=states[-1], hidden_states=states if output_hidden_states else None
        )

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing to draw: all weights are in the directory."""
