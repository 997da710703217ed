"""Checks of ``frontend_conf`` of ``frontend: robust_student``. All raise ConfigError."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import humanfriendly

from espnet_robust.common.errors import ConfigError
from espnet_robust.common.ranges import Range
from espnet_robust.models.long_audio import CONTEXT_S

_LEAST_WINDOW_S = 3 * CONTEXT_S


def check_source(student: dict[str, Any] | None) -> None:
    """Raise ConfigError if ``student`` names no speech model."""
    if not student:
        raise ConfigError(
            "frontend_conf: robust_student needs `student: {path: DIR}` or "
            "`student: {hf: HUB_ID_OR_DIR}`"
        )
    if not isinstance(student, Mapping):
        raise ConfigError(
            f"frontend_conf: student: {student}: write `student: {{path: {student}}}` for a "
            f"student directory, or `student: {{hf: {student}}}` for a transformers model"
        )
    if unknown := sorted(map(str, student.keys() - {"path", "hf", "arch"})):
        raise ConfigError(f"frontend_conf: student: unknown key {', '.join(unknown)}")
    if ("path" in student) == ("hf" in student):
        raise ConfigError("frontend_conf: student: give either path or hf")
    for key in {"path", "hf"} & student.keys():
        if not isinstance(student[key], str | Path) or not str(student[key]):
            raise ConfigError(
                f"frontend_conf: student: {key}: {student[key]!r} is not the name of a directory"
            )


def check_training(freeze: bool, freeze_steps: int, lr_scale: float, cache_gb: float) -> None:
    """Check what decides how the speech model is trained, alone and together."""
    if not isinstance(freeze, bool):
        raise ConfigError(f"frontend_conf: freeze: must be true or false, got {freeze!r}")
    Range(0).check("frontend_conf: freeze_steps", freeze_steps)
    Range(0, whole=False, above=True).check("frontend_conf: lr_scale", lr_scale)
    Range(0, whole=False).check("frontend_conf: cache_gb", cache_gb)
    if cache_gb and not freeze:
        raise ConfigError("frontend_conf: cache_gb needs `freeze: true`")
    if freeze and (freeze_steps or lr_scale != 1):
        raise ConfigError("frontend_conf: freeze_steps and lr_scale need `freeze: false`")


def hertz(fs: int | str) -> int:
    """A sampling rate in Hz, from a number or as ESPnet writes it ("16k")."""
    try:
        rate = humanfriendly.parse_size(fs) if isinstance(fs, str) else fs
    except humanfriendly.InvalidSize:
        rate = fs
    if isinstance(rate, bool) or not isinstance(rate, int):
        raise ConfigError(f"frontend_conf: fs: must be a rate in Hz such as 16000, got {fs!r}")
    return rate


def check_rate(fs: int | str, rate: int) -> None:
    """Check ``fs`` against the rate of the speech model in Hz."""
    if hertz(fs) != rate:
        raise ConfigError(f"frontend_conf: fs: {hertz(fs)} Hz, but the model takes {rate} Hz")


def check_window(max_seconds: float) -> None:
    """Check the length in s of the windows of long utterances."""
    Range(0, whole=False).check("frontend_conf: max_seconds", max_seconds)
    if max_seconds and max_seconds < _LEAST_WINDOW_S:
        raise ConfigError(
            f"frontend_conf: max_seconds: {max_seconds:g}: need at least {_LEAST_WINDOW_S:g}, "
            "or 0 for no limit"
        )
