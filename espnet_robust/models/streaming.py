"""A log-mel student that hears speech as it comes: chunk by chunk, and exactly as in one pass.

Nothing in it looks past the chunk that a frame is in. Attention sees the frames of its chunk and
``left_ms`` before it (as Emformer, arXiv:2010.10759, without its memory bank), so that what is kept
does not grow, and looking ahead does not add up over layers. The positional convolution is causal.
In place of an utterance's loudness, each filter's mean up to the frame is taken off.

The delay of a frame: the rest of its chunk, and a window's 25 to 35 ms.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import HubertModel
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.hubert.modeling_hubert import (
    HubertEncoderLayerStableLayerNorm,
    HubertFeatureProjection,
    HubertPreTrainedModel,
)

from espnet_robust.models.log_mel import LogMel, LogMelConfig


class StreamConfig(LogMelConfig):
    """``LogMelConfig`` with chunks.

    ``chunk_ms``: frames that are computed together; ``left_ms``: what attention sees before them.
    Both are multiples of a frame's 20 ms, and ``left_ms`` of ``chunk_ms``.
    """

    model_type = "log_mel_stream"

    num_conv_pos_embeddings: int = 31
    chunk_ms: int = 320
    left_ms: int = 1280

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        frame_ms = 1000 * self.conv_stride[0] * self.conv_stride[1] / self.sampling_rate
        if self.chunk_ms <= 0 or self.chunk_ms % frame_ms or self.left_ms % self.chunk_ms:
            raise ValueError(
                f"chunk_ms: {self.chunk_ms}, left_ms: {self.left_ms}: need a multiple of "
                f"{frame_ms:g} ms, and a multiple of chunk_ms"
            )

    @property
    def chunk(self) -> int:
        """Frames in a chunk."""
        hop = self.conv_stride[0] * self.conv_stride[1]
        return self.chunk_ms * self.sampling_rate // (1000 * hop)

    @property
    def left(self) -> int:
        """Frames that attention sees before a chunk."""
        return self.chunk * (self.left_ms // self.chunk_ms)


class RunningLogMel(LogMel):
    """Log mel energies less the mean of each filter up to the frame."""

    floor = 1e-8  # samples come as they were recorded, however quiet

    def forward(self, wav: Tensor) -> Tensor:
        """(B, N) -> (B, filters * stack, T)."""
        return self.normalized(super().forward(wav), None)[0]

    def normalized(self, mel: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, D, T) and what came ``before`` -> normalised, and what to give the next block.

        before: (B, D + 1, 1) float64: the sum of each value, and the number of frames.
        """
        ones = torch.ones_like(mel[:, :1]).double()
        sums = torch.cat([mel.double(), ones], 1).cumsum(-1)
        if before is not None:
            sums = sums + before
        return (mel - (sums[:, :-1] / sums[:, -1:])).float(), sums[..., -1:]


class StreamLayer(HubertEncoderLayerStableLayerNorm):
    """HuBERT's layer; also over a chunk, with what attention saw before."""

    def step(self, x: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """A chunk (B, C, D), memory (B, M, D) and an additive mask (1, 1, C, M + C) -> the chunk's
        output, and memory with the chunk behind it (B, M + C, D).
        """
        y = self.layer_norm(x)
        memory = torch.cat([memory, y], 1)
        x = x + self.attention(y, key_value_states=memory, attention_mask=mask)[0]
        return x + self.feed_forward(self.final_layer_norm(x)), memory


class StreamEncoder(nn.Module):
    """Causal positions, then layers; in the place of HuBERT's transformer."""

    def __init__(self, config: StreamConfig):
        super().__init__()
        self.config = config
        size, self.reach = config.hidden_size, config.num_conv_pos_embeddings - 1
        groups = config.num_conv_pos_embedding_groups
        self.pos_conv = nn.Conv1d(size, size, self.reach + 1, groups=groups)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.layers = nn.ModuleList(StreamLayer(config) for _ in range(config.num_hidden_layers))

    def forward(
        self, x: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutput:
        """x (B, T, D); attention_mask (B, T), true on valid frames."""
        if attention_mask is not None:
            x = x.masked_fill(~attention_mask[..., None].bool(), 0.0)
        x = self.dropout(self.with_positions(F.pad(x, (0, 0, self.reach, 0))))
        mask = self.mask(x, attention_mask)
        for layer in self.layers:
            x = layer(x, attention_mask=mask)
        return BaseModelOutput(last_hidden_state=x)

    def with_positions(self, x: Tensor) -> Tensor:
        """(B, reach + T, D) -> (B, T, D): each frame with what the convolution makes of it and the
        ``reach`` frames before.
        """
        return x[:, self.reach :] + F.gelu(self.pos_conv(x.transpose(1, 2))).transpose(1, 2)

    def mask(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """(1 or B, 1, T, T), to be added: 0 where frame i attends to j, else very small."""
        chunk = torch.arange(x.shape[1], device=x.device) // self.config.chunk
        back = chunk[:, None] - chunk
        seen = ((back >= 0) & (back <= self.config.left_ms // self.config.chunk_ms))[None, None]
        if valid is not None:
            seen = seen & valid[:, None, None].bool()
        return torch.zeros_like(seen, dtype=x.dtype).masked_fill(~seen, torch.finfo(x.dtype).min)


class StreamModel(HubertModel):
    """The student; ``forward`` is HuBERT's, over whole utterances. ``Stream`` hears chunks."""

    config_class = StreamConfig
    _can_record_outputs: ClassVar = {"hidden_states": StreamLayer}

    def __init__(self, config: StreamConfig):
        # HuBERT's own constructor would build its convolutions and its transformer.
        HubertPreTrainedModel.__init__(self, config)
        self.feature_extractor = RunningLogMel(config)
        self.feature_projection = HubertFeatureProjection(config)
        if config.mask_time_prob > 0.0:
            self.masked_spec_embed = nn.Parameter(torch.empty(config.hidden_size))
        self.encoder = StreamEncoder(config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, LogMel):
            module.fill()  # transformers makes models without memory, then loads what is stored
        else:
            super()._init_weights(module)


@dataclass
class Stream:
    """One utterance heard bit by bit by a ``StreamModel`` in eval mode; memory does not grow.

        stream = Stream(model)
        for block in blocks:  # (samples,), of any lengths
            states = stream.feed(block)  # of the chunks that are complete now
        rest = stream.finish()

    States are (layers, frames, D): all of them, one behind another, equal those of one pass.
    """

    model: StreamModel
    _held: Tensor = field(default_factory=lambda: torch.zeros(0))  # samples from the next frame on
    _heard: int = 0  # samples in all
    _done: int = 0  # frames in all
    _sums: Tensor | None = None
    _before: Tensor | None = None  # (1, reach, D), of the positional convolution
    _memory: list[Tensor] = field(default_factory=list)

    def feed(self, samples: Tensor) -> Tensor:
        """(samples,) float32 in [-1, 1] -> (layers, frames, D); frames may be none."""
        config, front = self.model.config, self.model.feature_extractor
        self._held = torch.cat([self._held, samples])
        self._heard += len(samples)
        hop = front.hop * front.stack
        need = (config.chunk - 1) * hop + front.hop * (front.stack - 1) + front.window
        out = []
        while len(self._held) >= need:
            out.append(self._chunk(self._held[:need], config.chunk))
            self._held = self._held[config.chunk * hop :]
        return self._joined(out)

    def finish(self) -> Tensor:
        """The frames of the last chunk, which the utterance's end cuts off."""
        front = self.model.feature_extractor
        hop = front.hop * front.stack
        frames = (self._heard - front.window) // hop + 1 - self._done
        if self._heard < front.window or frames < 1:
            return self._joined([])
        missing = (frames * front.stack - 1) * front.hop + front.window - len(self._held)
        return self._joined([self._chunk(F.pad(self._held, (0, max(0, missing))), frames)])

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        layers = self.model.config.num_hidden_layers + 1
        return torch.cat([torch.zeros(layers, 0, self.model.config.hidden_size), *parts], 1)

    def _chunk(self, samples: Tensor, frames: int) -> Tensor:
        """(samples,) of ``frames`` frames -> (layers, frames, D)."""
        encoder, config = self.model.encoder, self.model.config
        front = self.model.feature_extractor
        with torch.inference_mode():
            mel = front.windows(samples[None])[..., :frames]
            mel, self._sums = front.normalized(mel, self._sums)
            x = self.model.feature_projection(mel.transpose(1, 2))
            if self._before is None:
                self._before = x.new_zeros(1, encoder.reach, x.shape[-1])
                self._memory = [x.new_zeros(1, 0, x.shape[-1]) for _ in encoder.layers]
            extended = torch.cat([self._before, x], 1)
            self._before = extended[:, extended.shape[1] - encoder.reach :]
            x = encoder.with_positions(extended)
            states = [x]
            for i, layer in enumerate(encoder.layers):
                assert isinstance(layer, StreamLayer)
                seen = self._memory[i].shape[1] + frames
                x, memory = layer.step(x, self._memory[i], x.new_zeros(1, 1, frames, seen))
                self._memory[i] = memory[:, max(0, seen - config.left) :]
                states.append(x)
        self._done += frames
        return torch.cat(states)
