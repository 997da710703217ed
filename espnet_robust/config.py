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
            problems.append(f"unknown key {key!r}{nearest(key, list(fields))}")
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


def nearest(name: str, known: Sequence[str]) -> str:
    """ ", did you mean 'X'?" for the closest of the known names, or all of them.

    >>> nearest("cdm3", ["cdm1", "noise"]), nearest("x", ["cdm1", "noise"])
    (", did you mean 'cdm1'?", '; known: cdm1, noise')
    """
    near = process.extractOne(str(name), list(known), score_cutoff=60)
    return f", did you mean {near[0]!r}?" if near else f"; known: {', '.join(map(str, known))}"


def find_yaml(name: str, folders: Sequence[Path]) -> Path | None:
    """The first NAME.yaml in the folders; None where there is none."""
    paths = (folder / f"{name}.yaml" for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def no_yaml(name: str, folders: Sequence[Path]) -> str:
    """What to say where there is no NAME.yaml in the folders."""
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    return f"there is no {name}.yaml{nearest(name, known)}"


def base_chain(path: Path, folders: Sequence[Path]) -> list[tuple[Path, dict]]:
    """A YAML and what its ``base`` leads to: (file, content without ``base``), the lowest first.

    Args:
        folders: where a base that is a name is looked for; one with a slash is a path from the
            directory of the YAML that names it.

    Raises:
        ConfigError: unreadable, no such base, or bases that lead in a circle.
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
