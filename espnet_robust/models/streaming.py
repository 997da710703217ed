"""A log-mel student for streaming: it processes chunks, with the same result as one pass.

No frame depends on anything after its chunk. Attention sees the frame's chunk and ``left_ms``
before it (like Emformer, arXiv:2010.10759, without its memory bank), so memory does not grow and
look-ahead does not accumulate over layers. The positional convolution is causal. Instead of
normalising the utterance, each filter's running mean is subtracted.

The delay of a frame is the rest of its chunk plus a window of 25 to 35 ms.
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

    ``chunk_ms``: length of a chunk, whose frames are computed together; ``left_ms``: the past that
    attention sees before it. ``chunk_ms`` is a multiple of a frame's 20 ms, ``left_ms`` of
    ``chunk_ms``.
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
                f"{frame_ms:g} ms for chunk_ms, and a multiple of chunk_ms for left_ms"
            )

    @property
    def chunk(self) -> int:
        """Number of frames in a chunk."""
        hop = self.conv_stride[0] * self.conv_stride[1]
        return self.chunk_ms * self.sampling_rate // (1000 * hop)

    @property
    def left(self) -> int:
        """Number of frames that attention sees before a chunk."""
        return self.chunk * (self.left_ms // self.chunk_ms)


class RunningLogMel(LogMel):
    """Log mel energies minus the running mean of each filter."""

    floor = 1e-8  # low, because samples are not scaled and may be quiet

    def forward(self, wav: Tensor) -> Tensor:
        """(B, N) -> (B, filters * stack, T)."""
        return self.normalized(super().forward(wav), None)[0]

    def normalized(self, mel: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, D, T) and the state ``before`` it -> normalised (B, D, T), and the new state.

        before: (B, D + 1, 1) float64: the sum of each value and the number of frames so far.
        """
        ones = torch.ones_like(mel[:, :1]).double()
        sums = torch.cat([mel.double(), ones], 1).cumsum(-1)
        if before is not None:
            sums = sums + before
        return (mel - (sums[:, :-1] / sums[:, -1:])).float(), sums[..., -1:]


class StreamLayer(HubertEncoderLayerStableLayerNorm):
    """HuBERT's layer, which can also process one chunk, given the memory of earlier ones."""

    def step(self, x: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """A chunk (B, C, D), memory (B, M, D) and an additive mask (1, 1, C, M + C) -> the chunk's
        output, and the memory extended by the chunk (B, M + C, D).
        """
        y = self.layer_norm(x)
        memory = torch.cat([memory, y], 1)
        x = x + self.attention(y, key_value_states=memory, attention_mask=mask)[0]
        return x + self.feed_forward(self.final_layer_norm(x)), memory


class StreamEncoder(nn.Module):
    """A causal positional convolution, then layers, in place of HuBERT's transformer."""

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
        """(B, reach + T, D) -> (B, T, D): add to each frame the convolution over it and the
        ``reach`` frames before it.
        """
        return x[:, self.reach :] + F.gelu(self.pos_conv(x.transpose(1, 2))).transpose(1, 2)

    def mask(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """(1 or B, 1, T, T), additive: 0 if frame i attends to frame j, else very negative."""
        chunk = torch.arange(x.shape[1], device=x.device) // self.config.chunk
        back = chunk[:, None] - chunk
        seen = ((back >= 0) & (back <= self.config.left_ms // self.config.chunk_ms))[None, None]
        if valid is not None:
            seen = seen & valid[:, None, None].bool()
        return torch.zeros_like(seen, dtype=x.dtype).masked_fill(~seen, torch.finfo(x.dtype).min)


class StreamModel(HubertModel):
    """The student. ``forward``, HuBERT's, takes whole utterances; ``Stream`` takes chunks."""

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
            module.fill()  # transformers builds models on the meta device, then loads weights
        else:
            super()._init_weights(module)


@dataclass
class Stream:
    """Feed one utterance in blocks to a ``StreamModel`` in eval mode; memory does not grow.

        stream = Stream(model)
        for block in blocks:  # (samples,), of any lengths
            states = stream.feed(block)  # of the chunks completed by this block
        rest = stream.finish()

    States are (layers, frames, D); concatenated, they equal those of one pass.
    """

    model: StreamModel
    _held: Tensor = field(default_factory=lambda: torch.zeros(0))  # samples from the next frame on
    _heard: int = 0  # samples so far
    _done: int = 0  # frames so far
    _sums: Tensor | None = None
    _before: Tensor | None = None  # (1, reach, D), for the positional convolution
    _memory: list[Tensor] = field(default_factory=list)

    def feed(self, samples: Tensor) -> Tensor:
        """(samples,) float32 in [-1, 1] -> (layers, frames, D); ``frames`` may be 0."""
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
        """(layers, frames, D) of the last chunk, which may be incomplete."""
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
        """(samples,) that make ``frames`` frames -> (layers, frames, D)."""
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
