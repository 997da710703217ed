"""YAML configuration read into frozen dataclasses, with every mistake reported at once."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from rapidfuzz import fuzz, process

from espnet_robust.errors import ConfigError

T = TypeVar("T")


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file. Raises ConfigError where it is missing or not a mapping."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as e:
        raise ConfigError(f"{path}: cannot be read: {e.strerror}") from e
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    content = load_yaml(text, path)
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
            problems.append(f"unknown key {key!r}{nearest(key, fields)}")
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


def nearest(name: Any, known: Iterable[Any], show: int = 20) -> str:
    """What to say after an unknown name: the known one most like it, or else all of them.

    Args:
        show: with more names than this that are all unlike, nothing is said.

    >>> nearest("siez", ["size", "rate"]), nearest("x", ["size", "rate"]), nearest("x", range(99))
    (", did you mean 'size'?", '; known: size, rate', '')
    """
    names = [str(one) for one in known]
    near = process.extractOne(str(name), names, scorer=fuzz.ratio, score_cutoff=60)
    if near:
        return f", did you mean {near[0]!r}?"
    return f"; known: {', '.join(names)}" if len(names) <= show else ""


def load_yaml(text: str, name: str | Path) -> Any:
    """The content of a YAML text: plain Python values, no tags that make objects.

    Args:
        name: what to call the text in a message.

    Raises:
        ConfigError: not YAML, a key twice in one mapping (YAML's own loaders keep the last and say
            nothing), a value that contains itself, nesting too deep to read.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_node(loader, node, name, set(), set())
        return loader.construct_document(node)
    except yaml.YAMLError as e:
        raise ConfigError(f"{name}: not valid YAML: {' '.join(str(e).split())}") from None
    except ValueError as e:  # such as a date that there is not
        raise ConfigError(f"{name}: not valid YAML: {e}") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply to be read") from None
    finally:
        loader.dispose()


def _check_node(
    loader: yaml.SafeLoader, node: yaml.Node, name: str | Path, inside: set[int], done: set[int]
) -> None:
    """Raise ConfigError if ``node`` has a key twice or contains itself.

    Args:
        inside: ids of the nodes that contain it.
        done: ids of the nodes checked already, to which aliases lead again.
    """
    if id(node) in inside:
        raise ConfigError(
            f"{name}:{node.start_mark.line + 1}: contains itself: an alias (*) leads to the value"
            " that it is part of"
        )
    if id(node) in done or isinstance(node, yaml.ScalarNode):
        return
    done.add(id(node))
    parts = node.value
    if isinstance(node, yaml.MappingNode):
        _check_keys(loader, [key for key, _ in node.value], name)
        parts = [part for pair in node.value for part in pair]
    for part in parts:
        _check_node(loader, part, name, inside | {id(node)}, done)


def _check_keys(loader: yaml.SafeLoader, keys: list[yaml.Node], name: str | Path) -> None:
    lines: dict[Any, int] = {}
    for key in keys:
        if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
            value, line = loader.construct_object(key), key.start_mark.line + 1
            if value in lines:
                raise ConfigError(
                    f"{name}:{line}: key {key.value!r} occurs twice; it is in line {lines[value]}"
                    " already"
                )
            lines[value] = line
