"""One interface to every speech encoder, teacher or student.

    forward(wav (B, N), lengths (B,)) -> {layer: (B, T, D)}, frame lengths (B,)

Layer 0 is the input of the first transformer (or LSTM) layer, layer l the output of the l-th.
Frame counts follow the convolution stack exactly. The result for a row does not depend on the other
rows or on its padding.
"""

import json
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.utils import logging as transformers_logging

from espnet_robust.common.errors import ModelError
from espnet_robust.common.files import write_atomic
from espnet_robust.models.architectures import FILTER_BANK_MODELS, WAVEFORM_MODELS
from espnet_robust.models.eraser import ErasedConfig, Eraser
from espnet_robust.models.filter_bank import FilterBank
from espnet_robust.models.frames import Frames
from espnet_robust.models.front.front import use_front
from espnet_robust.models.front.positions import use_grouped_convolutions
from espnet_robust.models.onednn.linear import use_fast_linear
from espnet_robust.models.padding import frame_mask
from espnet_robust.models.row_layers import RowGroupNorm, RowLayer, use_row_layers


@dataclass(frozen=True)
class Hidden:
    """Hidden states of one batch.

    states: {layer: (B, T, D)}; frames past a row's length are undefined.
    lengths: (B,) int64, valid frames of each row.
    """

    states: dict[int, Tensor]
    lengths: Tensor


class SpeechModel(nn.Module):
    """A transformers speech encoder: one of WAVEFORM_MODELS or FILTER_BANK_MODELS.

    ``build_speech_model`` makes one with all changes that we need; this class alone does not change
    the encoder, some of whose layers may let padding leak in (``row_layers``).

    Args:
        encoder: the transformers model; it has ``encoder.layers``.
        normalize: scale each utterance to zero mean and unit variance over its own samples; this is
            ``do_normalize`` of the model's feature extractor.
        rate: sampling rate in Hz.

    Attributes:
        eraser: removes directions from all hidden states, wherever they are used; None: does not.
    """

    encoder: PreTrainedModel
    eraser: Eraser | None

    def __init__(self, encoder: PreTrainedModel, normalize: bool, rate: int = 16000):
        super().__init__()
        config = encoder.config
        _check_model_type(config)
        self.encoder = encoder
        self.normalize = normalize
        self.rate = rate
        self.register_module("eraser", None)
        self.filter_bank = None
        if config.model_type in FILTER_BANK_MODELS:
            self.filter_bank = FilterBank(config.feature_projection_input_dim, rate)
            kernels, strides = FilterBank.kernels, FilterBank.strides
        else:
            kernels, strides = config.conv_kernel, config.conv_stride
        self.frames = Frames(rate, tuple(zip(kernels, strides, strict=True)))
        # In a list, so that they are not registered here as well.
        self._row_layers = [m for m in encoder.modules() if isinstance(m, RowLayer)]

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
        return self.frames.hop

    def num_frames(self, num_samples):
        """Number of frames for ``num_samples`` samples, an int or an integer tensor."""
        return self.frames.count(num_samples)

    @property
    def min_samples(self) -> int:
        """The fewest samples that yield one frame (25 ms for HuBERT's stack)."""
        return self.frames.min_samples

    def forward(
        self, wav: Tensor, lengths: Tensor, mask_time_indices: Tensor | None = None
    ) -> Hidden:
        """Hidden states of all layers.

        Args:
            wav: (B, N) float samples in [-1, 1]; samples past a row's length are ignored.
            lengths: (B,) int64 samples, each at least ``min_samples``.
            mask_time_indices: (B, T) bool; frames to replace by the learned mask vector.

        Raises:
            ModelError: there are frames to mask, but the model has no mask vector.
        """
        if mask_time_indices is not None and not hasattr(self.encoder, "masked_spec_embed"):
            raise ModelError("frames cannot be masked: mask_time_prob is 0 in the model's config")
        wav = wav[:, : int(lengths.max())]
        wav = normalize_waveform(wav, lengths) if self.normalize else mask_padding(wav, lengths)
        equal = bool((lengths == wav.shape[1]).all())
        states = self._encode(wav, None if equal else lengths, mask_time_indices)
        return Hidden(dict(enumerate(states)), self.num_frames(lengths))

    def encode(self, wav: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, ...]:
        """(B, N) samples, normalised if the model needs it, zeros in the padding -> (B, T, D) per
        layer. ``lengths`` (B,): None if no row is padded.
        """
        return self._encode(wav, lengths)

    def _encode(
        self, wav: Tensor, lengths: Tensor | None, mask_time_indices: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        inputs, counts = wav, lengths  # the encoder's input, and how much of it is valid
        if self.filter_bank is not None:
            inputs = self.filter_bank(wav, lengths)
            counts = None if lengths is None else self.num_frames(lengths)
        inputs = inputs.to(self.encoder.dtype)  # for a model in half or double precision
        mask = None if counts is None else frame_mask(inputs, counts).long()
        extra = {} if mask_time_indices is None else {"mask_time_indices": mask_time_indices}
        if lengths is not None:
            self._tell_row_layers(lengths)
        # transformers masks the given frames only if this is set; if none are given, it draws some.
        self.config.apply_spec_augment = mask_time_indices is not None
        try:
            with _attention(inputs.device):
                states = self.encoder(
                    inputs, attention_mask=mask, output_hidden_states=True, **extra
                ).hidden_states
            return self.erase(states)
        finally:
            self.config.apply_spec_augment = False
            for layer in self._row_layers:
                layer.frames = None

    def erase(self, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The encoder's hidden states of all layers, each (..., D), as this model outputs them."""
        return tuple(states) if self.eraser is None else self.eraser(states)

    def _tell_row_layers(self, lengths: Tensor) -> None:
        # The group norm follows the first convolution, the others all of them.
        for layer in self._row_layers:
            first = isinstance(layer, RowGroupNorm)
            layer.frames = (self.frames.first_layer if first else self.num_frames)(lengths)


def _attention(device: torch.device) -> AbstractContextManager[None]:
    """Context without cuDNN's attention, which takes up to 4 s to prepare for each new length."""
    if device.type != "cuda":
        return nullcontext()
    backends = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    return sdpa_kernel(backends)


def mask_padding(wav: Tensor, lengths: Tensor) -> Tensor:
    """(B, N) with zeros past each row's length."""
    return wav.masked_fill(~frame_mask(wav, lengths), 0.0)


def normalize_waveform(wav: Tensor, lengths: Tensor) -> Tensor:
    """Zero mean and unit variance over each row's own samples, zeros in the padding.

    The formula of transformers' Wav2Vec2FeatureExtractor: (x - mean) / sqrt(var + 1e-7).
    """
    wav = mask_padding(wav, lengths).to(torch.promote_types(wav.dtype, torch.float32))
    count = lengths[:, None].to(wav.dtype)
    wav = mask_padding(wav - wav.sum(1, keepdim=True) / count, lengths)
    var = wav.square().sum(1, keepdim=True) / count
    return wav / torch.sqrt(var + 1e-7)


def build_speech_model(encoder: nn.Module, normalize: bool, rate: int = 16000) -> SpeechModel:
    """Wrap a transformers encoder for use as teacher or student; the encoder is changed in place.

    Its own augmentation is switched off (``disable_augmentation``), all layers ignore padding
    (``use_row_layers``), and some are replaced by faster ones (``use_front``,
    ``use_grouped_convolutions``, ``use_fast_linear``). The arguments are those of ``SpeechModel``.

    Raises:
        ModelError: the model type is not supported.
    """
    model = SpeechModel(use_row_layers(encoder), normalize, rate)
    disable_augmentation(encoder.config)
    use_front(model)
    use_grouped_convolutions(model)
    use_fast_linear(model)
    return model


def disable_augmentation(config: PretrainedConfig) -> None:
    """Switch off SpecAugment and layer drop, in place.

    They would silently change hidden states or skip layers. Dropout stays.
    """
    config.apply_spec_augment = False
    config.mask_feature_prob = 0.0
    config.layerdrop = 0.0


def load_teacher(name: str | Path, layers: Collection[int] = ()) -> SpeechModel:
    """A frozen teacher from a hub id or a local directory written by ``save_pretrained``.

    Args:
        layers: the target layers. Layers above the highest one are removed.

    Raises:
        ModelError: there is no such model, weights are missing, or a target layer does not exist.
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


def _truncate(encoder: PreTrainedModel, num_layers: int) -> None:
    encoder.encoder.layers = encoder.encoder.layers[:num_layers]
    encoder.config.num_hidden_layers = num_layers
    if getattr(encoder.config, "do_stable_layer_norm", False):
        # This norm belongs to the output of the model's own last layer, which was removed.
        encoder.encoder.layer_norm = nn.Identity()


def _load_pretrained(name: str) -> SpeechModel:
    local = Path(name)
    if local.is_dir():
        if not (local / "config.json").is_file():
            if (local / "config.yaml").is_file() and (local / "model.safetensors").is_file():
                raise ModelError(
                    f"teacher {name}: a student directory, not a transformers model; in "
                    f"frontend_conf, write `student: {{path: {name}}}`"
                )
            raise ModelError(f"teacher {name}: no config.json in this directory")
        if not [*local.glob("*.safetensors"), *local.glob("pytorch_model*.bin")]:
            raise ModelError(f"teacher {name}: no weights (model.safetensors) in this directory")
    elif local.is_absolute() or name.startswith("."):
        raise ModelError(f"teacher {name}: no such directory")
    transformers_logging.disable_progress_bar()  # these models load fast
    try:
        config = AutoConfig.from_pretrained(name)
        _check_model_type(config)
        # Weights stored in half precision would be used in half precision.
        encoder, info = AutoModel.from_pretrained(
            name, config=config, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, StrictDataclassError, SafetensorError) as e:
        first_line = str(e).strip().splitlines()[0]
        raise ModelError(f"teacher {name}: cannot be loaded: {first_line}") from e
    except ModelError as e:
        raise ModelError(f"teacher {name}: {e}") from e
    if missing := sorted(set(info["missing_keys"]) - {"masked_spec_embed"}):
        raise ModelError(
            f"teacher {name}: {len(missing)} weights missing, first {missing[0]}: "
            "the checkpoint is incomplete or has another architecture"
        )
    # Adapters read the last layer; nothing here reads them.
    encoder.adapter = encoder.intermediate_ffn = None
    config = encoder.config  # a copy of that above
    config.add_adapter = config.use_intermediate_ffn_before_adapter = False
    # Some are stored in half precision.
    return build_speech_model(encoder.float(), *_input_format(name))


def _check_model_type(config: PretrainedConfig) -> None:
    if config.model_type == ErasedConfig.model_type:
        raise ModelError(
            "a student with erased directions; in frontend_conf, write `student: {path: DIR}`"
        )
    if config.model_type not in WAVEFORM_MODELS + FILTER_BANK_MODELS:
        raise ModelError(
            f"model type {config.model_type!r} is not a supported speech encoder; "
            f"use {', '.join(WAVEFORM_MODELS + FILTER_BANK_MODELS)}"
        )


def _input_format(name: str) -> tuple[bool, int]:
    try:
        extractor = AutoFeatureExtractor.from_pretrained(name)
    except (OSError, ValueError) as e:
        # A wrong guess would silently give a worse model.
        raise ModelError(
            f"teacher {name}: no readable preprocessor_config.json, which says how its input is "
            'scaled; fix: add that of the model, or write {"feature_extractor_type": '
            '"Wav2Vec2FeatureExtractor", "sampling_rate": 16000, "do_normalize": true}, with false '
            "if it was trained on samples as they are"
        ) from e
    return bool(getattr(extractor, "do_normalize", False)), int(extractor.sampling_rate)


def write_preprocessor_config(directory: Path, normalize: bool, rate: int = 16000) -> None:
    """Write the file in which transformers stores the input format of a speech encoder."""
    content = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": rate,
        "padding_value": 0.0,
        "do_normalize": normalize,
        "return_attention_mask": True,
    }
    write_atomic(directory / "preprocessor_config.json", json.dumps(content, indent=2) + "\n")
