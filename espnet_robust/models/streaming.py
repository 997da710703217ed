"""A log-mel student for streaming: it processes chunks, with the same result as one pass.

No frame depends on anything after its chunk. Attention sees the frame's chunk and ``left_ms``
before it (like Emformer, arXiv:2010.10759, without its memory bank), so memory does not grow and
look-ahead does not accumulate over layers. The positional convolution is causal. Instead of
normalising the utterance, each filter's running mean is subtracted, which forgets a channel that
has changed (``running_mean.py``).

The delay of a frame is the rest of its chunk plus a window of 25 to 35 ms.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

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
from espnet_robust.models.running_mean import WINDOW, minus_running_mean

LOWEST = torch.finfo(torch.float32).min


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
        whole = type(self.chunk_ms) is int and type(self.left_ms) is int
        if (
            not whole
            or self.chunk_ms <= 0
            or self.chunk_ms % frame_ms
            or self.left_ms < 0
            or self.left_ms % self.chunk_ms
        ):
            raise ValueError(
                f"chunk_ms: {self.chunk_ms}, left_ms: {self.left_ms}: need a multiple of "
                f"{frame_ms:g} ms for chunk_ms, and a multiple of chunk_ms for left_ms"
            )
        if self.left > WINDOW:
            raise ValueError(f"left_ms: {self.left_ms}: need at most {WINDOW * frame_ms:g} ms")

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
        return minus_running_mean(super().forward(wav).transpose(1, 2))[0].transpose(1, 2)


class State(NamedTuple):
    """What the past leaves to a chunk. Shapes are fixed.

    sums: (1, 1, D + 1) float64, see ``minus_running_mean``; the last value counts the frames, up to
        ``WINDOW``.
    before: (1, reach, hidden), the input of the positional convolution before the chunk.
    memory: (layers, 2, left, hidden), keys and values, the newest last.
    """

    sums: Tensor
    before: Tensor
    memory: Tensor


class StreamLayer(HubertEncoderLayerStableLayerNorm):
    """HuBERT's layer, which can also process one chunk, given the memory of earlier ones."""

    def step(self, x: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """A chunk (1, C, D), memory (2, M, D) and an additive mask (C, M + C) -> the chunk's
        output, and the memory extended by the chunk (2, M + C, D).
        """
        attention = self.attention
        y = self.layer_norm(x)
        new = torch.cat([attention.k_proj(y), attention.v_proj(y)])
        memory = torch.cat([memory, new], 1)
        heads = (attention.num_heads, attention.head_dim)
        query = attention.q_proj(y)[0].unflatten(-1, heads).transpose(0, 1)  # (H, C, D / H)
        keys, values = memory.unflatten(-1, heads).transpose(1, 2)
        scores = query @ keys.transpose(1, 2) * attention.scaling + mask
        heard = (scores.softmax(-1) @ values).transpose(0, 1).flatten(1)
        x = x + attention.out_proj(heard[None])
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

    @property
    def chunk_samples(self) -> int:
        """Number of samples that a chunk reads; the next chunk begins ``chunk`` frames later."""
        front = self.feature_extractor
        return (self.config.chunk * front.stack - 1) * front.hop + front.window

    def first_state(self) -> State:
        """The state at the beginning of a stream."""
        config, encoder = self.config, self.encoder
        return State(
            torch.zeros(1, 1, config.conv_dim[1] + 1, dtype=torch.float64),
            torch.zeros(1, encoder.reach, config.hidden_size),
            torch.zeros(len(encoder.layers), 2, config.left, config.hidden_size),
        )

    def step(self, samples: Tensor, frames: Tensor, state: State) -> tuple[list[Tensor], State]:
        """Process one chunk, in eval mode.

        Args:
            samples: (1, ``chunk_samples``); in the last chunk, with anything past the end.
            frames: how many of the chunk's frames there are: all but in the last chunk.
            state: of the previous chunk, or ``first_state``.

        Returns:
            (1, chunk, D) for each layer, arbitrary past ``frames``, and the next state.
        """
        encoder, config = self.encoder, self.config
        mel = self.feature_extractor.windows(samples).transpose(1, 2)
        mel, sums = minus_running_mean(mel, state.sums)
        extended = torch.cat([state.before, self.feature_projection(mel)], 1)
        x = encoder.with_positions(extended)
        slots = torch.arange(config.left + config.chunk, device=x.device)
        empty = (slots < config.left - state.sums[0, 0, -1]) | (slots >= config.left + frames)
        mask = torch.zeros(len(slots), device=x.device).masked_fill(empty, LOWEST)
        states, memories = [x], []
        for layer, memory in zip(encoder.layers, state.memory, strict=True):
            assert isinstance(layer, StreamLayer)
            x, memory = layer.step(x, memory, mask)
            states.append(x)
            memories.append(memory[:, config.chunk :])
        return states, State(sums, extended[:, config.chunk :], torch.stack(memories))

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
    _state: State | None = None

    def feed(self, samples: Tensor) -> Tensor:
        """(samples,) float32 in [-1, 1] -> (layers, frames, D); ``frames`` may be 0."""
        self._held = torch.cat([self._held, samples])
        self._heard += len(samples)
        chunk, need = self.model.config.chunk, self.model.chunk_samples
        out = []
        while len(self._held) >= need:
            out.append(self._chunk(self._held[:need], chunk))
            self._held = self._held[chunk * self._hop :]
        return self._joined(out)

    def finish(self) -> Tensor:
        """(layers, frames, D) of the last chunk, which may be incomplete."""
        window = self.model.feature_extractor.window
        frames = (self._heard - window) // self._hop + 1 - self._done
        if self._heard < window or frames < 1:
            return self._joined([])
        missing = self.model.chunk_samples - len(self._held)
        return self._joined([self._chunk(F.pad(self._held, (0, missing)), frames)])

    @property
    def _hop(self) -> int:
        front = self.model.feature_extractor
        return front.hop * front.stack

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        layers = self.model.config.num_hidden_layers + 1
        return torch.cat([torch.zeros(layers, 0, self.model.config.hidden_size), *parts], 1)

    def _chunk(self, samples: Tensor, frames: int) -> Tensor:
        """(samples,) that make ``frames`` frames -> (layers, frames, D)."""
        state = self._state or self.model.first_state()
        with torch.inference_mode():
            states, self._state = self.model.step(samples[None], torch.tensor(frames), state)
        self._done += frames
        return torch.cat(states)[:, :frames]
