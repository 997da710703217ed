"""Lay one configuration over another, and read settings of the command line as one."""

from collections.abc import Mapping, Sequence
from typing import Any

from espnet_robust.common.errors import ConfigError

# Keys that choose an ESPnet class: choosing another class drops the ``_conf`` of the layer below.
CLASSES = (
    "frontend", "specaug", "normalize", "preencoder", "encoder", "postencoder", "decoder",
    "optim", "scheduler",
)  # fmt: skip

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
