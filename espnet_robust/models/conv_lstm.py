"""A recurrent speech encoder: HuBERT's convolution stack followed by LSTM layers.

``architectures`` registers it with transformers as model type ``conv_lstm``, so that it is built,
described and saved like every other encoder. Student directories hold a copy of this file, with
which plain transformers loads them, so it imports nothing from this package.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import HubertConfig, HubertModel
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.hubert.modeling_hubert import (
    HubertFeatureEncoder,
    HubertFeatureProjection,
    HubertPreTrainedModel,
)


class ConvLSTMConfig(HubertConfig):
    """HuBERT's configuration; the attention settings are not used.

    ``hidden_size`` is the width of a layer's output, both directions together.
    """

    model_type = "conv_lstm"

    num_hidden_layers: int = 3
    feat_extract_norm: str = "layer"  # group norm would tie each frame to the whole utterance
    bidirectional: bool = True


class LSTMLayer(nn.Module):
    """One LSTM layer over padded rows; neither direction processes the padding."""

    def __init__(self, config: ConvLSTMConfig):
        super().__init__()
        size, directions = config.hidden_size, 2 if config.bidirectional else 1
        if size % directions:
            raise ValueError(f"hidden_size: {size} cannot be halved for two directions")
        self.lstm = nn.LSTM(
            size, size // directions, batch_first=True, bidirectional=config.bidirectional
        )
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(B, T, D), lengths (B,) on the CPU, or None if no row is padded -> (B, T, D)."""
        if lengths is None:
            return self.dropout(self.lstm(x)[0])
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.lstm(packed)[0], True, total_length=x.shape[1])
        return self.dropout(out)


class LSTMEncoder(nn.Module):
    """A stack of the layers, in place of HuBERT's transformer."""

    def __init__(self, config: ConvLSTMConfig):
        super().__init__()
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(LSTMLayer(config) for _ in range(config.num_hidden_layers))

    def forward(
        self, x: Tensor, attention_mask: Tensor | None = None, **kwargs: object
    ) -> BaseModelOutput:
        """x (B, T, D); attention_mask (B, T), true on valid frames."""
        lengths = None if attention_mask is None else attention_mask.sum(1).cpu()
        x = self.layer_norm(x)
        for layer in self.layers:
            x = layer(x, lengths)
        return BaseModelOutput(last_hidden_state=x)


class ConvLSTMModel(HubertModel):
    """HuBERT with LSTM layers instead of a transformer; ``forward`` and masking are HuBERT's."""

    config_class = ConvLSTMConfig
    _can_record_outputs: ClassVar = {"hidden_states": LSTMLayer}

    def __init__(self, config: ConvLSTMConfig):
        # HuBERT's own constructor would build its transformer.
        HubertPreTrainedModel.__init__(self, config)
        self.feature_extractor = HubertFeatureEncoder(config)
        self.feature_projection = HubertFeatureProjection(config)
        if config.mask_time_prob > 0.0:
            self.masked_spec_embed = nn.Parameter(torch.empty(config.hidden_size))
        self.encoder = LSTMEncoder(config)
        self.post_init()
