"""The student: built from a teacher, kept in a directory that needs neither teacher nor ESPnet.

A student directory holds ``config.yaml`` (the encoder's transformers configuration, input format,
provenance) and ``model.safetensors``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from transformers import AutoConfig, AutoModel

from espnet_robust.config import read_yaml
from espnet_robust.distill.speech_model import SpeechModel
from espnet_robust.errors import ConfigError, ModelError
from espnet_robust.files import write_atomic

VERSION = 1  # of the student directory


@dataclass(frozen=True)
class StudentConfig:
    """Shape and initialisation of a student.

    Attributes:
        num_layers: transformer layers.
        init: ``teacher`` copies the convolution stack, the positional convolution and the first
            ``num_layers`` layers (DistilHuBERT, arXiv:2110.01900); ``random`` starts from scratch.
        overrides: transformers configuration values that differ from the teacher's, for example
            ``hidden_size``; only with ``init: random``.
    """

    num_layers: int = 2
    init: str = "teacher"
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.init not in ("teacher", "random"):
            raise ConfigError(f"student_conf: init: {self.init!r} is not teacher or random")
        if self.num_layers < 1:
            raise ConfigError(f"student_conf: num_layers: need at least 1, got {self.num_layers}")
        if self.overrides and self.init == "teacher":
            raise ConfigError(
                "student_conf: overrides need `init: random`; other shapes than the "
                "teacher's cannot take its weights"
            )


def build_student(teacher: SpeechModel, config: StudentConfig) -> SpeechModel:
    """A trainable student of the teacher's kind, with the same frame rate.

    Raises:
        ModelError: more layers to copy than the teacher has, or overrides that change the frames.
    """
    if config.init == "teacher" and config.num_layers > teacher.num_layers:
        raise ModelError(
            f"student_conf: num_layers: {config.num_layers} layers cannot be initialised from a "
            f"teacher cut at layer {teacher.num_layers}; raise target_layers or use `init: random`"
        )
    arch = teacher.config.to_dict() | {"num_hidden_layers": config.num_layers}
    student = build_from_arch(arch | dict(config.overrides), teacher.normalize, teacher.rate)
    if (student.hop, student.min_samples) != (teacher.hop, teacher.min_samples):
        raise ModelError("student_conf: overrides: the student's frames differ from the teacher's")
    if config.init == "teacher":
        wanted = student.state_dict().keys()
        copied = {k: v for k, v in teacher.state_dict().items() if k in wanted}
        student.load_state_dict(copied)
    return student.train()


def build_from_arch(arch: Mapping[str, Any], normalize: bool, rate: int) -> SpeechModel:
    """An encoder with random weights from a transformers configuration as a mapping."""
    arch = dict(arch)
    try:
        config = AutoConfig.for_model(arch.pop("model_type"), **arch)
        encoder = AutoModel.from_config(config)
    except (KeyError, ValueError, TypeError) as e:
        raise ModelError(f"student architecture cannot be built: {e}") from e
    return SpeechModel(encoder, normalize=normalize, rate=rate)


def describe(student: SpeechModel) -> dict[str, Any]:
    """What ``build_from_arch`` needs, as plain YAML-able values."""
    arch = student.config.to_dict()
    # Where it was loaded from and by what is not part of the architecture.
    for key in ("_name_or_path", "transformers_version", "architectures", "dtype"):
        arch.pop(key, None)
    return {"arch": _plain(arch), "normalize": student.normalize, "rate": student.rate}


def _plain(value):
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def save_student(student: SpeechModel, out: Path, provenance: Mapping[str, Any]) -> None:
    """Write a student directory. The weights come last: without them it does not load."""
    out.mkdir(parents=True, exist_ok=True)
    content = {"version": VERSION, **describe(student), "provenance": dict(provenance)}
    write_atomic(out / "config.yaml", yaml.safe_dump(content, sort_keys=False))
    weights = {k: v.detach().cpu().contiguous() for k, v in student.state_dict().items()}
    write_atomic(out / "model.safetensors", save(weights))


def read_student_config(path: Path) -> dict[str, Any]:
    """``config.yaml`` of a student directory, checked."""
    path = Path(path)
    if not path.is_dir():
        raise ModelError(f"{path}: no such student directory; make one with export_student")
    config = read_yaml(path / "config.yaml")
    if missing := {"version", "arch", "normalize", "rate"} - config.keys():
        raise ModelError(f"{path}/config.yaml: not a student: no {', '.join(sorted(missing))}")
    if config["version"] != VERSION:
        raise ModelError(
            f"{path}/config.yaml: version {config['version']}, this package reads {VERSION}"
        )
    return config


def read_student_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in a student directory."""
    weights = Path(path) / "model.safetensors"
    try:
        return load_file(weights)
    except (OSError, SafetensorError) as e:
        raise ModelError(f"{weights}: cannot be read ({e}); export the student again") from e


def load_student(path: Path) -> SpeechModel:
    """The student of a student directory, in eval mode.

    Raises:
        ModelError, ConfigError: something is missing, unreadable or does not fit together.
    """
    config = read_student_config(path)
    student = build_from_arch(config["arch"], config["normalize"], config["rate"])
    load_weights(student, read_student_weights(path), str(path))
    return student.eval()


def load_weights(student: SpeechModel, weights: Mapping[str, Tensor], where: str) -> None:
    """``load_state_dict`` whose refusal is one line."""
    try:
        student.load_state_dict(weights)
    except RuntimeError as e:
        reason = " ".join(str(e).split())[:300]
        raise ModelError(f"{where}: weights do not fit the configuration: {reason}") from e
