"""Read an ESPnet experiment directory without ESPnet: what recognisers and classifiers share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from espnet_robust.common.errors import ConfigError, ModelError
from espnet_robust.device.features import Features, Projection
from espnet_robust.models.blstm import BLSTM
from espnet_robust.models.frontend_keys import KEYS, read_familiar
from espnet_robust.models.running_mean import WINDOW
from espnet_robust.models.student import build_from_arch, load_student, load_weights

SAME_FOR_BOTH: Mapping[str, Sequence[str | None]] = {
    "frontend": ("robust_student",),
    "normalize": ("utterance_mvn", "running_mean", None),
    "preencoder": (None,),
    "postencoder": (None,),
}


def is_classifier(config: Mapping[str, Any]) -> bool:
    """Whether a ``config.yaml`` is that of ESPnet's classification task."""
    if "frontend_conf" not in config or "ctc_conf" in config:
        return False
    named = "token_list" in config and "decoder_conf" in config
    return named or "classification_type" in (config.get("model_conf") or {})


def check_modules(
    config: Mapping[str, Any], exp: Path, known: Mapping[str, Sequence[str | None]]
) -> None:
    """Refuse modules that were not built here again.

    Args:
        known: configuration key -> supported values, besides ``SAME_FOR_BOTH``.

    Raises:
        ModelError: naming the first module that is not supported.
    """
    for key, values in {**SAME_FOR_BOTH, **known}.items():
        if config.get(key) not in values:
            names = " or ".join(str(v) for v in values)
            raise ModelError(
                f"{exp}: cannot be exported: {key}: {config.get(key)}; only {names} is supported"
            )
    norm = config.get("normalize_conf") or {}
    if config.get("normalize") == "utterance_mvn" and not norm.get("norm_means", True):
        raise ModelError(
            f"{exp}: cannot be exported: normalize_conf: only `norm_means: true` is supported"
        )


def frames_options(config: Mapping[str, Any], exp: Path) -> dict[str, Any]:
    """The arguments of ``EncodedFrames`` for a configuration; student and encoder have random
    weights.

    Raises:
        ModelError: the configuration lacks the student, or has an encoder that cannot be built.
        ConfigError: ``frontend_conf`` has keys that the frontend refuses.
    """
    conf = config["frontend_conf"]
    student = conf.get("student") or {}
    if "arch" in student:
        speech_model = build_from_arch(**student["arch"])
    elif "path" in student:
        speech_model = load_student(Path(student["path"]))
    else:
        raise ModelError(f"{exp}/config.yaml: frontend_conf: student: no arch; has training begun?")
    norm = config.get("normalize_conf") or {}
    return {
        "features": Features(speech_model, _layers(conf)),
        "encoder": _encoder(config, speech_model.hidden_size, exp),
        "normalize": config.get("normalize"),
        "norm_vars": bool(norm.get("norm_vars", False)),
        "window": norm.get("window", WINDOW),
    }


def _layers(conf: Mapping[str, Any]) -> Any:
    """The layers of the frontend, which may be written as for s3prl's.

    Raises:
        ConfigError: ``frontend_conf`` has keys that the frontend refuses.
    """
    others = {key: value for key, value in conf.items() if key not in KEYS}
    return read_familiar(others, conf.get("layers", "weighted_sum"))


def _encoder(config: Mapping[str, Any], size: int, exp: Path) -> BLSTM | Projection:
    conf = config.get("encoder_conf") or {}
    if config["encoder"] == "transformer":
        if conf.get("num_blocks", 6) or conf.get("input_layer", "conv2d") is not None:
            raise ModelError(
                f"{exp}: cannot be exported: encoder: transformer; only one without blocks "
                "(num_blocks: 0) and without an input layer (input_layer: null) is supported"
            )
        # Without blocks, the other keys of ESPnet's encoder have no effect.
        own = {key: conf[key] for key in ("output_size", "normalize_before") if key in conf}
        return Projection(size, **own)
    try:
        return BLSTM(size, **conf)
    except (TypeError, ConfigError) as e:
        raise ModelError(f"{exp}/config.yaml: encoder_conf: {e}") from e


def load_checkpoint(model: nn.Module, path: Path, unused: tuple[str, ...]) -> None:
    """Load an experiment's weights into a model, which is put into eval mode.

    Args:
        unused: prefixes of weights that inference does not need.

    Raises:
        ModelError: no such file, damaged, with adapters, or weights that do not fit.
    """
    wanted = {k: v for k, v in _read(path).items() if not k.startswith(unused)}
    if lora := [k for k in wanted if "lora_" in k or ".adapter" in k]:
        raise ModelError(f"{path}: holds adapters ({lora[0]}), which cannot be exported")
    load_weights(model, wanted, str(path))
    model.eval()


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as e:
        raise ModelError(f"{path}: not found; has training finished?") from e
    except Exception as e:  # unpickling damaged bytes may raise anything
        raise ModelError(f"{path}: not a model file; train again") from e
