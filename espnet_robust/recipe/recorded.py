"""What trainings were made of, as records of earlier versions of this code say it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import read_json
from espnet_robust.common.made_of import FILE
from espnet_robust.common.merging import Config

# Options of a training that do not change its result.
NEUTRAL = (
    "num_workers", "log_interval", "log_level", "use_matplotlib", "use_tensorboard", "use_wandb",
    "wandb_project", "wandb_id", "wandb_entity", "wandb_name", "wandb_model_log_interval",
)  # fmt: skip


def decisive(config: Config) -> Config:
    """The options of a training that change its result."""
    return {key: value for key, value in config.items() if key not in NEUTRAL}


def as_recorded(path: Path, made_of: dict[str, Any], tokens: Path, label: str) -> dict[str, Any]:
    """``made_of`` as an earlier version would have recorded it, if that made the training ``path``.

    Earlier versions took fewer options for neutral, and kept the classes of all labels in one
    directory, so that a training would be called stale though nothing that decides it has changed.

    Args:
        tokens: the directory with the classes of ``label``, named after it.
    """
    config = _recorded_config(path)
    known = {key: value for key, value in config.items() if key in NEUTRAL}
    made_of = made_of | {"config": made_of["config"] | known}
    earlier = str(tokens).removesuffix(f"_{label}")
    if label and config.get("token_list") == f"{earlier}/tokens.txt":
        text = json.dumps(made_of, default=str).replace(f'"{tokens}/', f'"{earlier}/')
        made_of = json.loads(text)
    return made_of


def _recorded_config(path: Path) -> Mapping[str, Any]:
    try:
        record = read_json(path / FILE).get("made_of")
    except UserError:
        return {}
    config = record.get("config") if isinstance(record, dict) else None
    return config if isinstance(config, dict) else {}
