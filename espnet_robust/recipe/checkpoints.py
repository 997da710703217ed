"""The models that a training keeps, by ``best_model_criterion``."""

import re
from collections.abc import Mapping
from typing import Any

from espnet_robust.common.errors import ConfigError

USUAL = "valid.loss.best.pth"
BEST_STUDENT = "valid.distill.best.pth"
# The model of an epoch, while it is among the best, and that of the last one.
_OF_AN_EPOCH = re.compile(r"(?:[1-9][0-9]*epoch|latest)\.pth")
# The mean of the best epochs by a criterion, at the end or on the way there.
_MEAN = re.compile(r"(.+)\.ave(?:_[1-9][0-9]*best)?(?:\.till[1-9][0-9]*epoch)?\.pth")


def kept_by(config: Mapping[str, Any]) -> list[str]:
    """The names of the best models that a training with this configuration keeps.

    >>> kept_by({"best_model_criterion": [["valid", "cer_ctc", "min"]]})
    ['valid.cer_ctc.best.pth']
    """
    criteria = config.get("best_model_criterion") or []
    return [f"{split}.{key}.best.pth" for split, key, *_ in criteria] or [USUAL]


def best_of(config: Mapping[str, Any], checkpoint: str) -> str:
    """The one that a training must leave: the one to decode with, if it is one of them."""
    kept = kept_by(config)
    return next((name for name in (checkpoint, USUAL) if name in kept), kept[0])


def check_kept(option: str, checkpoint: str, config: Mapping[str, Any]) -> None:
    """Raise ConfigError if a training would keep no model of the name ``checkpoint``.

    Args:
        option: how to change it, for the message.
    """
    kept = kept_by(config)
    mean = _MEAN.fullmatch(checkpoint)
    wanted = f"{mean[1]}.best.pth" if mean else checkpoint
    if wanted not in kept and not _OF_AN_EPOCH.fullmatch(checkpoint):
        raise ConfigError(
            f"{checkpoint} would not be kept: best_model_criterion gives {', '.join(kept)}; "
            f"{option}"
        )
