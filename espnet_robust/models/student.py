"""The student: built from a teacher, stored in a directory that needs neither teacher nor ESPnet.

A student directory holds ``config.yaml`` (the encoder's transformers configuration, input format,
provenance) and ``model.safetensors``. ``config.json`` and ``preprocessor_config.json`` repeat this
for transformers: ``AutoModel.from_pretrained(directory)`` loads the encoder. An architecture that
transformers lacks comes with its source file and needs ``trust_remote_code=True``; so does a
student with an eraser (``models/eraser.py``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from transformers import AutoConfig, AutoModel

from espnet_robust.common.config import nearest, read_yaml
from espnet_robust.common.errors import ConfigError, ModelError
from espnet_robust.common.files import write_atomic
from espnet_robust.common.ranges import Range
from espnet_robust.models.architectures import FILTER_BANK_MODELS, WAVEFORM_MODELS
from espnet_robust.models.card import card
from espnet_robust.models.conv_lstm import ConvLSTMConfig
from espnet_robust.models.copying import copy_layers, load_weights
from espnet_robust.models.eraser import Eraser
from espnet_robust.models.log_mel import LogMelConfig
from espnet_robust.models.speech_model import SpeechModel, build_speech_model
from espnet_robust.models.streaming import StreamConfig
from espnet_robust.models.transformers_files import write_transformers_files

# Of the student directory. 1: keys with ENCODER before them, no config.json; 2: keys without it; 3:
# with it, because the student has an eraser, whose keys are in the same file.
VERSION, ERASED_VERSION = 2, 3
ENCODER = "encoder."  # prefix of the encoder's keys in a SpeechModel
SIZES = {  # keys of transformers configurations: whole numbers, or one per convolution
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "conv_dim",
    "conv_kernel", "conv_stride", "num_conv_pos_embeddings", "num_conv_pos_embedding_groups",
}  # fmt: skip
_NEEDED = ("arch", "normalize", "rate")  # in a description
MOST, MOST_LAYERS = 100_000, 1000
LSTM = ConvLSTMConfig.model_type
LOG_MEL = LogMelConfig.model_type
STREAM = StreamConfig.model_type
# Five convolutions with the same frames as HuBERT's seven and about a thirtieth of their
# arithmetic: the strides come early, while there are few channels.
THIN = {
    "model_type": "hubert",
    "conv_dim": [64, 128, 256, 256, 512],
    "conv_kernel": [20, 7, 3, 2, 2],
    "conv_stride": [10, 4, 2, 2, 2],
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "num_feat_extract_layers": 5,
}
WIDTH = ("hidden_size", "num_attention_heads", "intermediate_size")
STACK_KEYS = (
    "conv_dim", "conv_kernel", "conv_stride", "conv_bias", "feat_extract_activation",
)  # fmt: skip


@dataclass(frozen=True)
class StudentConfig:
    """Shape and initialisation of a student.

    Attributes:
        num_layers: number of transformer or LSTM layers.
        init: ``teacher`` copies the convolution stack, the positional convolution and the first
            ``num_layers`` layers (DistilHuBERT, arXiv:2110.01900); ``convolutions`` copies the
            convolution stack only; ``random`` starts from scratch.
        overrides: transformers configuration values that differ from those of ``kind``, for
            example ``hidden_size``; not with ``init: teacher``.
        kind: ``teacher`` is the teacher's architecture. ``lstm``, or a transformers model type for
            waveforms (``hubert``, ...), has the teacher's width and its convolution shapes, with
            layer norm unless the convolutions are copied. For devices: ``thin`` is ``hubert`` on
            narrower, faster convolutions, ``log_mel`` on a filter bank.
        causal: a streaming student (``models/streaming.py``), with ``kind: log_mel``: it processes
            ``chunk_ms`` at a time, and its attention sees ``left_ms`` before that.
    """

    num_layers: int = 2
    init: str = "teacher"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "teacher"
    causal: bool = False
    chunk_ms: int = 320
    left_ms: int = 1280

    def __post_init__(self):
        kinds = (
            "teacher",
            "lstm",
            "thin",
            *(m for m in WAVEFORM_MODELS if m not in (LSTM, STREAM)),
        )
        if self.kind not in kinds:
            raise ConfigError(f"kind: {self.kind!r} is not one of {', '.join(kinds)}")
        if self.init not in ("teacher", "convolutions", "random"):
            raise ConfigError(f"init: {self.init!r} is not teacher, convolutions or random")
        if type(self.num_layers) is not int or self.num_layers < 1:
            raise ConfigError(
                f"num_layers: need at least 1, a whole number, got {self.num_layers!r}"
            )
        if not isinstance(self.overrides, Mapping):
            raise ConfigError(f"overrides: must be a mapping of options, got {self.overrides!r}")
        if self.init == "teacher" and (self.overrides or self.kind != "teacher"):
            raise ConfigError(
                "kind and overrides need `init: convolutions` or `init: random`; "
                "a student of another shape cannot copy the teacher's layers"
            )
        if self.init == "convolutions" and self.kind in ("thin", LOG_MEL):
            raise ConfigError(f"kind: {self.kind} has a front end of its own: use `init: random`")
        self._check_causal()
        if reserved := sorted({"model_type", "num_hidden_layers"} & self.overrides.keys()):
            raise ConfigError(f"overrides: {reserved[0]} is set by kind and num_layers")

    def _check_causal(self) -> None:
        if type(self.causal) is not bool:
            raise ConfigError(f"causal: must be true or false, got {self.causal!r}")
        if self.causal and self.kind != LOG_MEL:
            raise ConfigError(f"causal: needs `kind: {LOG_MEL}`, not {self.kind}")
        Range(1).check("chunk_ms", self.chunk_ms)
        Range(0).check("left_ms", self.left_ms)
        usual = (StudentConfig.chunk_ms, StudentConfig.left_ms)
        if not self.causal and (self.chunk_ms, self.left_ms) != usual:
            raise ConfigError("chunk_ms and left_ms need `causal: true`")


def build_student(teacher: SpeechModel, config: StudentConfig) -> SpeechModel:
    """A trainable student with the teacher's frames.

    Raises:
        ModelError: the student cannot copy the teacher's weights or shape, or overrides change the
            frames.
    """
    _check_initialisation(teacher, config)
    arch = _architecture(teacher, config)
    _check_overrides(arch["model_type"], config.overrides)
    arch |= {"num_hidden_layers": config.num_layers} | dict(config.overrides)
    # Filter banks are normalised per utterance; waveforms that replace them should be too.
    # The level of a stream is unknown before its end.
    normalize = (teacher.normalize or teacher.filter_bank is not None) and not config.causal
    student = build_from_arch(arch, normalize, teacher.rate)
    if (student.hop, student.min_samples) != (teacher.hop, teacher.min_samples):
        raise ModelError("student_conf: overrides: the student's frames differ from the teacher's")
    if config.init == "teacher":
        copy_layers(teacher, student)
    elif config.init == "convolutions":
        load_weights(
            student.encoder.feature_extractor,
            teacher.encoder.feature_extractor.state_dict(),
            "student_conf: init: convolutions",
        )
    return student.train()


def _architecture(teacher: SpeechModel, config: StudentConfig) -> dict[str, Any]:
    """The student's configuration as a mapping, before overrides."""
    if config.kind == "teacher":
        return teacher.config.to_dict()
    # By default another kind is as wide as the teacher, not 768, its model type's own default.
    width = {key: getattr(teacher.config, key) for key in WIDTH if hasattr(teacher.config, key)}
    if config.kind == "thin":
        return THIN | width
    if config.causal:
        chunks = {"chunk_ms": config.chunk_ms, "left_ms": config.left_ms}
        return {"model_type": STREAM, "sampling_rate": teacher.rate} | chunks | width
    if config.kind == LOG_MEL:
        return {"model_type": LOG_MEL, "sampling_rate": teacher.rate} | width
    stack = _convolution_stack(teacher, copied=config.init == "convolutions")
    return {"model_type": LSTM if config.kind == "lstm" else config.kind} | width | stack


def _check_initialisation(teacher: SpeechModel, config: StudentConfig) -> None:
    if teacher.filter_bank is not None and (config.init != "random" or config.kind == "teacher"):
        raise ModelError(
            f"student_conf: a {teacher.config.model_type} teacher reads filter banks, but students "
            "read waveforms: set `init: random` and `kind: hubert` or `kind: lstm`"
        )
    if config.init == "teacher" and config.num_layers > teacher.num_layers:
        raise ModelError(
            f"student_conf: num_layers: {config.num_layers} layers cannot be initialised from a "
            f"teacher cut at layer {teacher.num_layers}; raise target_layers or use `init: random`"
        )


def _convolution_stack(teacher: SpeechModel, copied: bool) -> dict[str, Any]:
    """The teacher's convolutions as configuration values; empty if it reads filter banks."""
    stack = {k: getattr(teacher.config, k) for k in STACK_KEYS if hasattr(teacher.config, k)}
    # data2vec uses layer norm too, without saying so. Group norm would make each frame depend on
    # the whole utterance.
    norm = getattr(teacher.config, "feat_extract_norm", "layer") if copied else "layer"
    return stack | {"feat_extract_norm": norm}


def _check_overrides(model_type: str, overrides: Mapping[str, Any]) -> None:
    # transformers accepts any key.
    known = AutoConfig.for_model(model_type).to_dict()
    for key in overrides.keys() - known.keys():
        raise ConfigError(
            f"student_conf: overrides: {model_type} has no {key!r}{nearest(key, known)}"
        )


def build_from_arch(
    arch: Mapping[str, Any], normalize: bool, rate: int, erased: int = 0
) -> SpeechModel:
    """An encoder with random weights from a transformers configuration as a mapping.

    Args:
        erased: number of directions that its eraser erases; 0: it has none.

    Raises:
        ModelError: the configuration cannot be built.
    """
    _check_shape(arch, normalize, rate)
    arch = dict(arch)
    model_type = arch.pop("model_type", None)
    if model_type not in WAVEFORM_MODELS + FILTER_BANK_MODELS:
        raise ModelError(f"student architecture: unknown model_type {model_type!r}")
    try:
        encoder = AutoModel.from_config(AutoConfig.for_model(model_type, **arch))
    except (KeyError, ValueError, TypeError, ArithmeticError, IndexError, MemoryError,
            RuntimeError, AttributeError, StrictDataclassError) as e:  # fmt: skip
        reason = (str(e).strip() or type(e).__name__).splitlines()[-1].strip()
        raise ModelError(f"student architecture cannot be built: {reason}") from e
    model = build_speech_model(encoder, normalize, rate)
    if erased:
        if type(erased) is not int or not 1 <= erased < model.hidden_size:
            raise ModelError(
                f"student architecture: erased: {erased!r}: need 1 to {model.hidden_size - 1}"[:200]
            )
        model.eraser = Eraser(model.num_layers + 1, model.hidden_size, erased)
    return model


def _check_shape(arch: Any, normalize: Any, rate: Any) -> None:
    """Raise ModelError for implausible sizes, before they use up the machine's memory."""
    if not isinstance(arch, Mapping):
        raise ModelError(f"student architecture: need a mapping, got {arch!r}"[:200])
    if not isinstance(normalize, bool) or type(rate) is not int or rate < 1:
        raise ModelError(
            f"student architecture: need `normalize: true` or `false` and a rate in Hz, got "
            f"{normalize!r} and {rate!r}"
        )
    for key in SIZES & arch.keys():
        most = MOST_LAYERS if key == "num_hidden_layers" else MOST
        values = arch[key] if isinstance(arch[key], list | tuple) else [arch[key]]
        if not values or not all(type(n) is int and 1 <= n <= most for n in values):
            raise ModelError(f"student architecture: {key}: {arch[key]!r}: need 1 to {most}"[:200])


def from_description(description: Any, where: str) -> SpeechModel:
    """The inverse of ``describe``, with random weights.

    Raises:
        ModelError: not a description; the message begins with ``where``.
    """
    if not isinstance(description, Mapping) or not set(_NEEDED) <= set(description):
        raise ModelError(f"{where}: need a mapping with arch, normalize and rate")
    arch, normalize, rate = (description[key] for key in _NEEDED)
    return build_from_arch(arch, normalize, rate, description.get("erased", 0))


def describe(student: SpeechModel) -> dict[str, Any]:
    """The arguments of ``build_from_arch``, as values that YAML can hold."""
    arch = student.config.to_dict()
    # Where it was loaded from, and by which version, is not part of the architecture.
    for key in ("_name_or_path", "transformers_version", "architectures", "dtype"):
        arch.pop(key, None)
    erased = {} if student.eraser is None else {"erased": student.eraser.rank}
    return {"arch": _plain(arch), "normalize": student.normalize, "rate": student.rate, **erased}


def _plain(value):
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def save_student(student: SpeechModel, out: Path, provenance: Mapping[str, Any]) -> None:
    """Write a student directory. The weights come last: without them it does not load."""
    out.mkdir(parents=True, exist_ok=True)
    # Else, if it is interrupted, those of an earlier export would load as this student.
    (out / "model.safetensors").unlink(missing_ok=True)
    version = VERSION if student.eraser is None else ERASED_VERSION
    content = {"version": version, **describe(student), "provenance": dict(provenance)}
    write_atomic(out / "config.yaml", yaml.safe_dump(content, sort_keys=False))
    write_transformers_files(student, out, content["arch"])
    write_atomic(out / "README.md", card(out.resolve().name, student, _plain(provenance)))
    prefix = _prefix(version)
    weights = {
        k.removeprefix(prefix): v.detach().cpu().contiguous()
        for k, v in student.state_dict().items()
    }
    write_atomic(out / "model.safetensors", save(weights, metadata={"format": "pt"}))


def _prefix(version: int) -> str:
    """What the keys of a directory's weights lack, compared with those of a SpeechModel."""
    return ENCODER if version == 2 else ""


def read_student_config(path: Path) -> dict[str, Any]:
    """``config.yaml`` of a student directory, checked."""
    path = Path(path)
    if not path.is_dir():
        raise ModelError(f"{path}: no such student directory; make one with export_student")
    if (path / "config.json").is_file() and not (path / "config.yaml").is_file():
        raise ModelError(
            f"{path}: a transformers model, not a student; in frontend_conf, write "
            f"`student: {{hf: {path}}}`"
        )
    config = read_yaml(path / "config.yaml")
    if missing := {"version", *_NEEDED} - config.keys():
        raise ModelError(f"{path}/config.yaml: not a student: no {', '.join(sorted(missing))}")
    if config["version"] not in range(1, ERASED_VERSION + 1):
        raise ModelError(
            f"{path}/config.yaml: version {config['version']}; this package reads 1 to "
            f"{ERASED_VERSION}"
        )
    return config


def read_student_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in a student directory of any version, with the keys of a SpeechModel."""
    weights = Path(path) / "model.safetensors"
    prefix = _prefix(read_student_config(path)["version"])
    try:
        return {prefix + key: value for key, value in load_file(weights).items()}
    except (OSError, SafetensorError) as e:
        raise ModelError(f"{weights}: cannot be read ({e}); export the student again") from e


def load_student(path: Path) -> SpeechModel:
    """The student of a student directory, in eval mode.

    Raises:
        ModelError, ConfigError: something is missing, unreadable or does not fit together.
    """
    config = read_student_config(path)
    student = from_description(config, f"{path}/config.yaml")
    load_weights(student, read_student_weights(path), str(path))
    return student.eval()
