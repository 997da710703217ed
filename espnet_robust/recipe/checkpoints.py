"""The models that a training keeps, by ``best_model_criterion``."""

import re
from collections.abc import Mapping
from typing import Any

from espnet_robust.common.errors import ConfigError

USUAL = "valid.loss.best.pth"
BEST_STUDENT = "valid.distill.best.pth"
# The best epoch by a criterion, or the mean of several.
_BY_CRITERION = re.compile(r"((?:train|valid)\.\w+)\.(?:best|ave\w*)\.pth", re.ASCII)


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
    """Raise ConfigError if a training would not keep ``checkpoint``.

    Args:
        option: how to change it, for the message.
    """
    kept = kept_by(config)
    found = _BY_CRITERION.fullmatch(checkpoint)
    if found and f"{found[1]}.best.pth" not in kept:
        raise ConfigError(
            f"{checkpoint} would not be kept: best_model_criterion gives {', '.join(kept)}; "
            f"{option}"
        )
