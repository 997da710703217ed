"""Prepare the noises and rooms of a recipe from a YAML in conf/noise."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from espnet_robust.common.errors import ConfigError
from espnet_robust.common.recipe import NoiseSource
from espnet_robust.corpora import CORPORA


def prepare_noise(source: NoiseSource, out: Path, directories: Mapping[str, str]) -> list[Path]:
    """Write the data dirs of noises and rooms.

    Args:
        out: the parent directory of the data dirs.
        directories: {option: directory} for the options in ``source.directories``.

    Raises:
        UserError: as for the corpora's own ``prepare``.
        ConfigError: an unknown corpus or option.
    """
    made = []
    for entry in source.data:
        options = {key: _filled(value, directories) for key, value in entry.items()}
        corpus = options.pop("corpus", None)
        if "root" in options:
            options["root"] = Path(options["root"])
        if corpus not in CORPORA:
            raise ConfigError(f"conf/noise: unknown corpus {corpus!r}")
        module = import_module(f"espnet_robust.corpora.{corpus}")
        made += module.prepare(
            out, **{k: Path(v) if k == "root" else v for k, v in options.items()}
        )
    return made


def _filled(value: Any, directories: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return tuple(value)
    for name, directory in directories.items():
        if isinstance(value, str):
            value = value.replace(f"{{{name}}}", directory)
    return value
