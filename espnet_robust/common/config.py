"""YAML configuration read into frozen dataclasses, with every mistake reported at once."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from rapidfuzz import fuzz, process

from espnet_robust.common.errors import ConfigError
from espnet_robust.common.merging import as_options

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file. Raises ConfigError if it is missing or not a mapping."""
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


def from_mapping(content: Any, cls: type[T], where: str) -> T:
    """``cls(**content)`` after checking the keys; None is no keys.

    Raises:
        ConfigError: no mapping, unknown keys (with the nearest known name), missing keys, or a
            value that ``cls`` refuses; the message begins with ``where``.
    """
    content = as_options(content, where)
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


def nearest(name: Any, known: Iterable[Any], show: int = 20) -> str:
    """The hint after an unknown name: the closest known name, or else all known names.

    Args:
        show: if no name is close and there are more than this many, the hint is empty.

    >>> nearest("siez", ["size", "rate"]), nearest("x", ["size", "rate"]), nearest("x", range(99))
    (", did you mean 'size'?", '; known: size, rate', '')
    """
    names = [str(one) for one in known]
    near = process.extractOne(str(name), names, scorer=fuzz.ratio, score_cutoff=60)
    if near:
        return f", did you mean {near[0]!r}?"
    return f"; known: {', '.join(names)}" if len(names) <= show else ""


def find_yaml(name: str, folders: Sequence[Path]) -> Path | None:
    """The first NAME.yaml found in the folders, or None."""
    paths = (folder / f"{name}.yaml" for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def no_yaml(name: str, folders: Sequence[Path]) -> str:
    """The message for a NAME.yaml that is in none of the folders."""
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    return f"there is no {name}.yaml{nearest(name, known)}"


def base_chain(path: Path, folders: Sequence[Path]) -> list[tuple[Path, dict]]:
    """A YAML and its chain of bases: (file, content without ``base``), the lowest base first.

    Args:
        folders: where a base given as a name is searched. A base with a slash is a path relative
            to the YAML that names it.

    Raises:
        ConfigError: a file cannot be read, a base does not exist, or the bases form a circle.
    """
    chain: list[tuple[Path, dict]] = []
    while True:
        content = read_yaml(path)
        if path.resolve() in (known.resolve() for known, _ in chain):
            raise ConfigError(f"{chain[0][0]}: its bases lead back to {path}")
        base = content.pop("base", None)
        chain.append((path, content))
        if base is None:
            return chain[::-1]
        path = _base(str(base), path, folders)


def _base(base: str, path: Path, folders: Sequence[Path]) -> Path:
    if "/" in base or base.endswith((".yaml", ".yml")):
        return path.parent / base
    others = [f for f in folders if (f / f"{base}.yaml").resolve() != path.resolve()]
    found = find_yaml(base, others)
    if found is None:
        raise ConfigError(f"{path}: base {base!r}: {no_yaml(base, others)}")
    return found


def load_yaml(text: str, name: str | Path) -> Any:
    """The content of a YAML text, as plain Python values; tags that build objects are refused.

    Args:
        name: what to call the text in a message.

    Raises:
        ConfigError: not YAML, a key repeated in one mapping (PyYAML silently keeps the last), a
            value that contains itself, or nesting too deep to read.
    """
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as e:  # a character that YAML forbids, such as NUL
        raise ConfigError(f"{name}: not valid YAML: {' '.join(str(e).split())}") from None
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_node(loader, node, name, set(), set())
        return loader.construct_document(node)
    except yaml.YAMLError as e:
        raise ConfigError(f"{name}: not valid YAML: {' '.join(str(e).split())}") from None
    except ValueError as e:  # such as a date that does not exist
        raise ConfigError(f"{name}: not valid YAML: {e}") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply to be read") from None
    finally:
        loader.dispose()


def _check_node(
    loader: yaml.SafeLoader, node: yaml.Node, name: str | Path, inside: set[int], done: set[int]
) -> None:
    """Raise ConfigError if ``node`` repeats a key or contains itself.

    Args:
        inside: ids of the nodes that contain it.
        done: ids of the nodes already checked, which aliases may reach again.
    """
    if id(node) in inside:
        raise ConfigError(
            f"{name}:{node.start_mark.line + 1}: contains itself: an alias (*) refers to a value"
            " that contains it"
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
                    f"{name}:{line}: key {key.value!r} occurs twice; it is already on line"
                    f" {lines[value]}"
                )
            lines[value] = line
