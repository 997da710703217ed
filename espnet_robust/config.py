"""YAML configuration read into frozen dataclasses, with every mistake reported at once."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from rapidfuzz import process

from espnet_robust.errors import ConfigError

T = TypeVar("T")


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file. Raises ConfigError where it is missing or not a mapping."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfigError(f"{path}: cannot be read: {e.strerror}") from e
    except yaml.YAMLError as e:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(e).split())}") from e
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping of options, got {type(content).__name__}")
    return content


def read_config(path: Path, cls: type[T]) -> T:
    """The YAML file as an instance of the dataclass ``cls``; see ``from_mapping``."""
    return from_mapping(read_yaml(path), cls, str(path))


def from_mapping(content: dict, cls: type[T], where: str) -> T:
    """``cls(**content)`` after a check of the keys.

    Raises:
        ConfigError: unknown keys (with the nearest known name), missing ones, or a value that
            ``cls`` refuses; ``where`` opens the message.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}
    problems = []
    for key in content:
        if key not in fields:
            near = process.extractOne(str(key), list(fields), score_cutoff=60)
            hint = f", did you mean {near[0]!r}?" if near else f"; known: {', '.join(fields)}"
            problems.append(f"unknown key {key!r}{hint}")
    for name, f in fields.items():
        no_default = f.default is f.default_factory is dataclasses.MISSING
        if no_default and name not in content:
            problems.append(f"missing key {name!r}")
    if problems:
        raise ConfigError(f"{where}: {'; '.join(problems)}")
    try:
        return cls(**content)
    except ConfigError as e:
        raise ConfigError(f"{where}: {e}") from e
    except (TypeError, ValueError) as e:
        raise ConfigError(f"{where}: {e}") from e


def read_layer(layer: str, adapt: Sequence[str] = ()) -> dict:
    """The mapping in ``FILE``, or under one of its top-level keys in ``FILE:SECTION``.

    A file whose key ``base`` names another, by a path from its own directory, is laid over that.
    The layers ``adapt`` change what is shared: they lie over the base, under the file's own keys,
    or over a file without a base.

    Raises:
        ConfigError: unreadable, no such section, or a base that has a base.
    """
    path, _, section = layer.partition(":")
    content, own = read_yaml(Path(path)), {}
    if "base" in content:
        base = Path(path).parent / str(content.pop("base"))
        content, own = read_yaml(base), content
        if "base" in content:
            raise ConfigError(f"{path}: base {base} has a base itself; name that one")
    for other in adapt:
        content = merge(content, read_layer(other))
    content = merge(content, own)
    if not section:
        return content
    if not isinstance(content.get(section), dict):
        raise ConfigError(f"{path}: no section {section!r}; it has {', '.join(map(str, content))}")
    return content[section]


def merge(base: dict, over: dict) -> dict:
    """``over`` laid over ``base``; nested mappings are merged, all else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def nearest(name: str, known: Sequence[str]) -> str:
    """ ", did you mean 'X'?" for the closest of the known names, or all of them.

    >>> nearest("cdm3", ["cdm1", "noise"]), nearest("x", ["cdm1", "noise"])
    (", did you mean 'cdm1'?", '; known: cdm1, noise')
    """
    near = process.extractOne(str(name), list(known), score_cutoff=60)
    return f", did you mean {near[0]!r}?" if near else f"; known: {', '.join(map(str, known))}"
