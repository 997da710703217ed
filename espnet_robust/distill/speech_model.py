"""One interface to every speech encoder, teacher or student.

    forward(wav (B, N), lengths (B,)) -> {layer: (B, T, D)}, frame lengths (B,)

Layer 0 is the input of the first transformer layer, layer l the output of the l-th. Frame counts
follow the convolution stack exactly. What a row yields does not depend on its batch mates or on
how far it is padded.
"""

import json
import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, PretrainedConfig
from transformers.utils import logging as transformers_logging

from espnet_robust.errors import ModelError


@dataclass(frozen=True)
class Hidden:
    """Hidden states of one batch.

    states: {layer: (B, T, D)}; frames past a row's length are undefined.
    lengths: (B,) int64, valid frames of each row.
    """

    states: dict[int, Tensor]
    lengths: Tensor


class SpeechModel(nn.Module):
    """A transformers speech encoder (HuBERT, WavLM, wav2vec 2.0, data2vec-audio, UniSpeech-SAT).

    Args:
        encoder: the transformers model. It takes raw samples and has ``encoder.layers``.
        normalize: scale each utterance to zero mean and unit variance over its own samples, as
            the ``do_normalize`` of the model's feature extractor says.
        rate: sampling rate in Hz.
    """

    def __init__(self, encoder: nn.Module, normalize: bool, rate: int = 16000):
        super().__init__()
        config = encoder.config
        if not hasattr(config, "conv_stride"):
            raise ModelError(
                f"model type {config.model_type!r} does not take raw samples; "
                "use hubert, wavlm, wav2vec2, data2vec-audio or unispeech-sat"
            )
        # SpecAugment inside the encoder would edit hidden states behind the caller's back.
        config.apply_spec_augment = False
        config.layerdrop = 0.0
        self.encoder = encoder
        self.normalize = normalize
        self.rate = rate
        # Group norm takes its statistics over time, padding included (HuBERT Base, wav2vec 2.0
        # Base); data2vec's stacked positional convolutions let the padding leak into the edge.
        self._padding_leaks = (
            getattr(config, "feat_extract_norm", "layer") == "group"
            or config.model_type == "data2vec-audio"
        )

    @property
    def config(self) -> PretrainedConfig:
        return self.encoder.config

    @property
    def num_layers(self) -> int:
        return len(self.encoder.encoder.layers)

    @property
    def hidden_size(self) -> int:
        return self.config.hidden_size

    @property
    def hop(self) -> int:
        """Samples from one frame to the next: the product of the convolution strides."""
        hop = 1
        for stride in self.config.conv_stride:
            hop *= stride
        return hop

    def num_frames(self, num_samples):
        """Frames of ``num_samples`` samples; takes an int or an integer tensor."""
        frames = num_samples
        for kernel, stride in zip(self.config.conv_kernel, self.config.conv_stride, strict=True):
            frames = (frames - kernel) // stride + 1
        return frames.clamp(min=0) if isinstance(frames, Tensor) else max(0, frames)

    @property
    def min_samples(self) -> int:
        """The fewest samples that yield one frame (25 ms for HuBERT's stack)."""
        need = 1
        layers = zip(self.config.conv_kernel, self.config.conv_stride, strict=True)
        for kernel, stride in reversed(list(layers)):
            need = (need - 1) * stride + kernel
        return need

    def forward(
        self, wav: Tensor, lengths: Tensor, mask_time_indices: Tensor | None = None
    ) -> Hidden:
        """Hidden states of all layers.

        Args:
            wav: (B, N) float samples in [-1, 1]; what lies past a row's length is ignored.
            lengths: (B,) int64 samples, each at least ``min_samples``.
            mask_time_indices: (B, T) bool; frames replaced by the learned mask vector
                (pretraining only).
        """
        wav = wav[:, : int(lengths.max())]
        wav = normalize_waveform(wav, lengths) if self.normalize else mask_padding(wav, lengths)
        equal = bool((lengths == wav.shape[1]).all())
        if self._padding_leaks and not equal:
            states = self._one_length_at_a_time(wav, lengths)
        else:
            states = self._encode(wav, None if equal else lengths, mask_time_indices)
        return Hidden(dict(enumerate(states)), self.num_frames(lengths))

    def _encode(
        self, wav: Tensor, lengths: Tensor | None, mask_time_indices: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        mask = None
        if lengths is not None:
            mask = (torch.arange(wav.shape[1], device=wav.device) < lengths[:, None]).long()
        extra = {} if mask_time_indices is None else {"mask_time_indices": mask_time_indices}
        return self.encoder(
            wav, attention_mask=mask, output_hidden_states=True, **extra
        ).hidden_states

    def _one_length_at_a_time(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        # Rows of one length share a pass, so that no row ever sees padding.
        frames = int(self.num_frames(lengths.max()))
        out: list[Tensor] = []
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero().squeeze(1)
            for layer, state in enumerate(self._encode(wav[rows, :length], None)):
                if layer == len(out):
                    out.append(state.new_zeros(len(wav), frames, state.shape[-1]))
                padded = nn.functional.pad(state, (0, 0, 0, frames - state.shape[1]))
                out[layer] = out[layer].index_copy(0, rows, padded)
        return tuple(out)


def mask_padding(wav: Tensor, lengths: Tensor) -> Tensor:
    """(B, N) with zeros past each row's length."""
    valid = torch.arange(wav.shape[1], device=wav.device) < lengths[:, None]
    return wav.masked_fill(~valid, 0.0)


def normalize_waveform(wav: Tensor, lengths: Tensor) -> Tensor:
    """Zero mean and unit variance over each row's own samples, zeros in the padding.

    The formula of transformers' Wav2Vec2FeatureExtractor: (x - mean) / sqrt(var + 1e-7).
    """
    wav = mask_padding(wav, lengths).float()
    count = lengths[:, None].to(wav.dtype)
    wav = mask_padding(wav - wav.sum(1, keepdim=True) / count, lengths)
    var = wav.square().sum(1, keepdim=True) / count
    return wav / torch.sqrt(var + 1e-7)


def load_teacher(name: str | Path, layers: Collection[int] = ()) -> SpeechModel:
    """A frozen teacher from a hub id or a local directory written by ``save_pretrained``.

    Args:
        layers: the target layers. Nothing above the highest one is kept or computed.

    Raises:
        ModelError: no such model, weights missing, or a target layer beyond its depth.
    """
    model = _load_pretrained(str(name))
    if beyond := [layer for layer in layers if not 0 <= layer <= model.num_layers]:
        raise ModelError(
            f"teacher {name}: target layer {beyond[0]} does not exist; "
            f"its layers are 0 (input of the transformer) to {model.num_layers}"
        )
    if layers and max(layers) < model.num_layers:
        _truncate(model.encoder, max(layers))
    return model.requires_grad_(False).eval()


def _truncate(encoder: nn.Module, num_layers: int) -> None:
    encoder.encoder.layers = encoder.encoder.layers[:num_layers]
    encoder.config.num_hidden_layers = num_layers
    if getattr(encoder.config, "do_stable_layer_norm", False):
        # This norm belongs to the output of the model's own last layer, now gone.
        encoder.encoder.layer_norm = nn.Identity()


def _load_pretrained(name: str) -> SpeechModel:
    local = Path(name)
    if local.is_dir():
        if not (local / "config.json").is_file():
            raise ModelError(f"teacher {name}: no config.json in this directory")
        if not [*local.glob("*.safetensors"), *local.glob("pytorch_model*.bin")]:
            raise ModelError(f"teacher {name}: no weights (model.safetensors) in this directory")
    elif local.is_absolute() or name.startswith("."):
        raise ModelError(f"teacher {name}: no such directory")
    transformers_logging.disable_progress_bar()  # these models load in a moment
    try:
        config = AutoConfig.from_pretrained(name)
        encoder, info = AutoModel.from_pretrained(name, config=config, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as e:
        first_line = str(e).strip().splitlines()[0]
        raise ModelError(f"teacher {name}: cannot be loaded: {first_line}") from e
    if missing := sorted(set(info["missing_keys"]) - {"masked_spec_embed"}):
        raise ModelError(
            f"teacher {name}: {len(missing)} weights missing, first {missing[0]}: "
            "the checkpoint is incomplete or of another architecture"
        )
    return SpeechModel(encoder, *_input_format(name))


def _input_format(name: str) -> tuple[bool, int]:
    try:
        extractor = AutoFeatureExtractor.from_pretrained(name)
    except (OSError, ValueError):
        logging.warning("%s has no preprocessor_config.json: input not normalised, 16 kHz", name)
        return False, 16000
    return bool(getattr(extractor, "do_normalize", False)), int(extractor.sampling_rate)


def write_preprocessor_config(directory: Path, normalize: bool, rate: int = 16000) -> None:
    """The file in which transformers keeps the input format of a speech encoder."""
    content = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": rate,
        "padding_value": 0.0,
        "do_normalize": normalize,
        "return_attention_mask": True,
    }
    (directory / "preprocessor_config.json").write_text(json.dumps(content, indent=2) + "\n")
