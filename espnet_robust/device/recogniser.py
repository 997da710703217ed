"""Load a CTC recogniser trained with ESPnet, without ESPnet.

Modules have the names used in the experiment's checkpoint; ``forward`` computes log probabilities
from samples, as in inference. Every operation in it exists in ONNX.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import ConfigError, ModelError
from espnet_robust.models.blstm import BLSTM
from espnet_robust.models.layers import select_layers
from espnet_robust.models.padding import frame_mask
from espnet_robust.models.running_mean import WINDOW, minus_running_mean
from espnet_robust.models.speech_model import SpeechModel
from espnet_robust.models.student import build_from_arch, load_student, load_weights

NOT_AT_INFERENCE = ("decoder.", "frontend.steps", "criterion_att.")


class Features(nn.Module):
    """``frontend: robust_student``: a speech model and the weights of its layers."""

    def __init__(self, speech_model: SpeechModel, layers: str | int | list[int]):
        super().__init__()
        self.speech_model = speech_model
        self.layers = select_layers(layers, speech_model.num_layers)
        self.layer_weights = nn.Parameter(torch.zeros(len(self.layers)))

    def states(self, wav: Tensor, lengths: Tensor | None) -> list[Tensor]:
        """(B, N) samples and lengths (B,), or None if no row is padded -> the selected layers,
        each (B, T, D).
        """
        model = self.speech_model
        if lengths is not None:
            wav = wav.masked_fill(~frame_mask(wav, lengths), 0.0)
        if model.normalize:
            wav = normalized(wav, lengths)
        states = model.encode(wav, lengths)
        return [states[layer] for layer in self.layers]

    def forward(self, wav: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, N) samples -> (B, T, D) features, with zeros in the padding, and (B,) frames."""
        x = self.weighted(self.states(wav, lengths))
        if lengths is None:
            return x, None
        frames = self.speech_model.num_frames(lengths)
        return x.masked_fill(~frame_mask(x, frames)[..., None], 0.0), frames

    def weighted(self, states: list[Tensor]) -> Tensor:
        """The sum of the selected layers (B, T, D), with the trained weights."""
        weights = self.layer_weights.softmax(0)
        x = sum(w * state for w, state in zip(weights, states, strict=True))
        assert isinstance(x, Tensor)
        return x


def normalized(wav: Tensor, lengths: Tensor | None) -> Tensor:
    """``normalize_waveform`` of (B, N) with zeros in the padding, with sums in float64.

    onnxruntime sums 30 s of float32 sequentially, with an error of 2e-4 in the samples and 1e-3 in
    log probabilities.
    """
    x = wav.double()
    count = x.shape[1] if lengths is None else lengths[:, None]
    x = x - x.sum(1, keepdim=True) / count
    if lengths is not None:
        x = x.masked_fill(~frame_mask(x, lengths), 0.0)
    variance = x.square().sum(1, keepdim=True) / count
    return (x / torch.sqrt(variance + 1e-7)).float()


class CTCHead(nn.Module):
    """The output layer, with ESPnet's name."""

    def __init__(self, size: int, tokens: int):
        super().__init__()
        self.ctc_lo = nn.Linear(size, tokens)


class Recogniser(nn.Module):
    """Samples to log probabilities of tokens.

    Args:
        features: the frontend.
        encoder: the layers above it.
        tokens: number of tokens, including the blank, which comes first.
        normalize: what is subtracted from the features: ``utterance_mvn``, the utterance's mean;
            ``running_mean``, that of the frames so far; None, nothing.
        window: of ``running_mean``, in frames.
        norm_vars: with ``utterance_mvn``, divide by the utterance's standard deviation too.
    """

    def __init__(
        self,
        features: Features,
        encoder: BLSTM,
        tokens: int,
        normalize: str | None,
        norm_vars: bool = False,
        window: int = WINDOW,
    ):
        super().__init__()
        self.frontend = features
        self.encoder = encoder
        self.ctc = CTCHead(encoder.size, tokens)
        self.normalize = normalize
        self.norm_vars, self.window = norm_vars, window

    @property
    def hop(self) -> int:
        """Samples from one output frame to the next."""
        hop = self.frontend.speech_model.hop
        for step in self.encoder.subsample:
            hop *= step
        return hop

    def forward(self, wav: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(B, N) samples in [-1, 1] and lengths (B,), or None if no row is padded -> log
        probabilities (B, T, V) and (B,) frames.
        """
        x, frames = self.frontend(wav, lengths)
        if self.normalize == "running_mean":
            x, _ = minus_running_mean(x, window=self.window)
        elif self.normalize == "utterance_mvn":
            count = x.shape[1] if frames is None else frames[:, None, None]
            x = x - x.sum(1, keepdim=True) / count
            if frames is not None:
                x = x.masked_fill(~frame_mask(x, frames)[..., None], 0.0)
            if self.norm_vars:
                deviation = (x.square().sum(1, keepdim=True) / count).sqrt()
                x = x / deviation.clamp(min=1e-20)  # as in ESPnet: 0 stays 0
        x, frames = self.encoder.encode(x, frames)
        return self.ctc.ctc_lo(x).log_softmax(-1), frames


@dataclass(frozen=True)
class Experiment:
    """A recogniser and its tokens.

    Attributes:
        tokens: ESPnet's tokens by id, the blank first.
        token_type: ``bpe``, ``char`` or ``word``.
    """

    model: Recogniser
    tokens: list[str]
    token_type: str


def read_experiment(exp: Path, checkpoint: str) -> Experiment:
    """The recogniser of an ESPnet experiment directory, in eval mode.

    Raises:
        ModelError: not an experiment, a model without CTC, or with unsupported modules.
        ConfigError: the configuration cannot be read.
    """
    config = read_yaml(exp / "config.yaml")
    _check(config, exp)
    model = _build(config, exp)
    state = _read_checkpoint(exp / checkpoint)
    wanted = {k: v for k, v in state.items() if not k.startswith(NOT_AT_INFERENCE)}
    if lora := [k for k in wanted if "lora_" in k or ".adapter" in k]:
        raise ModelError(
            f"{exp / checkpoint}: holds adapters ({lora[0]}), which cannot be exported"
        )
    load_weights(model, wanted, str(exp / checkpoint))
    return Experiment(model.eval(), list(config["token_list"]), config["token_type"])


def _check(config: Mapping[str, Any], exp: Path) -> None:
    """Refuse configurations that ``Recogniser`` does not support."""
    if "token_list" not in config or "frontend_conf" not in config:
        raise ModelError(f"{exp}/config.yaml: neither a student nor an ASR experiment of ESPnet")
    where = f"{exp}: cannot be exported:"
    if (config.get("model_conf") or {}).get("ctc_weight", 0.5) == 0:
        raise ModelError(f"{where} the model has attention only; train it with ctc_weight above 0")
    if config.get("token_type") not in ("bpe", "char", "word"):
        raise ModelError(f"{where} token_type {config.get('token_type')}; need bpe, char or word")
    known = {
        "frontend": ("robust_student",),
        "encoder": ("blstm",),
        "normalize": ("utterance_mvn", "running_mean", None),
        "preencoder": (None,),
        "postencoder": (None,),
    }
    for key, values in known.items():
        if config.get(key) not in values:
            names = " or ".join(str(v) for v in values)
            raise ModelError(f"{where} {key}: {config.get(key)}; only {names} is supported")
    norm = config.get("normalize_conf") or {}
    if config.get("normalize") == "utterance_mvn" and not norm.get("norm_means", True):
        raise ModelError(f"{where} normalize_conf: only `norm_means: true` is supported")


def _build(config: Mapping[str, Any], exp: Path) -> Recogniser:
    conf = config["frontend_conf"]
    student = conf.get("student") or {}
    if "arch" in student:
        speech_model = build_from_arch(**student["arch"])
    elif "path" in student:
        speech_model = load_student(Path(student["path"]))
    else:
        raise ModelError(f"{exp}/config.yaml: frontend_conf: student: no arch; has training begun?")
    features = Features(speech_model, conf.get("layers", "weighted_sum"))
    try:
        encoder = BLSTM(speech_model.hidden_size, **(config.get("encoder_conf") or {}))
    except (TypeError, ConfigError) as e:
        raise ModelError(f"{exp}/config.yaml: encoder_conf: {e}") from e
    norm = config.get("normalize_conf") or {}
    return Recogniser(
        features,
        encoder,
        len(config["token_list"]),
        config.get("normalize"),
        norm_vars=bool(norm.get("norm_vars", False)),
        window=norm.get("window", WINDOW),
    )


def _read_checkpoint(path: Path) -> dict[str, Tensor]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as e:
        raise ModelError(f"{path}: not found; has training finished?") from e
    except Exception as e:  # unpickling damaged bytes may raise anything
        raise ModelError(f"{path}: not a model file; train again") from e
