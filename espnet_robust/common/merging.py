"""Lay one configuration over another, and read settings of the command line as one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet_robust.common.errors import ConfigError

# Keys that choose an ESPnet class: choosing another class drops the ``_conf`` of the layer below.
CLASSES = (
    "frontend", "specaug", "normalize", "preencoder", "encoder", "postencoder", "decoder",
    "optim", "scheduler",
)  # fmt: skip

LISTS = ("init_param", "freeze_param")  # of texts; ESPnet would take one text letter by letter

Config = dict[str, Any]


def lay_over(base: Mapping, over: Mapping) -> Config:
    """``over`` laid over ``base``: nested mappings are merged, other values replaced.

    >>> lay_over({"encoder": "rnn", "encoder_conf": {"a": 1}}, {"encoder": "blstm"})
    {'encoder': 'blstm'}
    """
    kept = dict(base)
    for name in CLASSES:
        if name in over and name in base and over[name] != base[name]:
            kept.pop(f"{name}_conf", None)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(kept.get(key), dict)
        kept[key] = lay_over(kept[key], value) if both else value
    return kept


def as_options(value: Any, where: str, kind: str = "a mapping of options") -> Config:
    """A copy of the mapping ``value``; of None, which an empty section is, ``{}``.

    Raises:
        ConfigError: it is something else; the message begins with ``where``.
    """
    if not isinstance(value, Mapping | None):
        raise ConfigError(f"{where}: must be {kind}, got {value!r}")
    return dict(value or {})


def checked(content: Mapping, where: Path | str) -> Config:
    """``content`` after checking ``erase``, each ``*_conf`` and ``systems``.

    Raises:
        ConfigError: one of these is neither a mapping nor null; the message begins with ``where``.
    """
    config = dict(content)
    for key in filter(_holds_options, config):
        as_options(config[key], f"{where}: {key}")
    if "systems" in config:
        systems = as_options(config["systems"], f"{where}: systems", "a mapping {SYSTEM: {...}}")
        config["systems"] = {
            name: checked(as_options(changes, f"{where}: systems: {name}"), f"{where}: {name}")
            for name, changes in systems.items()
        }
    return config


def settled(config: Config, where: str) -> Config:
    """``config`` with ``{}`` or ``[]`` for null, and a list for one text, where ESPnet wants these.

    Raises:
        ConfigError: ``freeze_param`` or ``init_param`` is not a list of texts.
    """
    config = {k: {} if v is None and _holds_options(k) else v for k, v in config.items()}
    for key in LISTS:
        if key in config:
            value = [] if config[key] is None else config[key]
            value = config[key] = [value] if isinstance(value, str) else value
            if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
                raise ConfigError(f"{where}: {key}: must be a list of texts, got {value!r}")
    return config


def _holds_options(key: Any) -> bool:
    return key == "erase" or str(key).endswith("_conf")


def parse_settings(words: Sequence[str]) -> Config:
    """``["asr_conf.x=1", ...]`` as a nested mapping; values are read as YAML.

    Raises:
        ConfigError: a word without ``=``, or a value that is not YAML.
    """
    for word in words:
        if "=" not in word:
            raise ConfigError(f"--set {word}: write KEY=VALUE, as in --set optim_conf.lr=0.001")
    if not words:
        return {}
    # Imported here because it is slow to import. Its merge takes 15 ms for two layers, lay_over
    # microseconds.
    from omegaconf import OmegaConf

    try:
        settings: Any = OmegaConf.to_container(OmegaConf.from_dotlist(list(words)))
    except Exception as e:  # OmegaConf passes on what its YAML reader raises
        raise ConfigError(f"--set {' '.join(words)}: {' '.join(str(e).split())}") from e
    return settings
