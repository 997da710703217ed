"""Prepare the noises and rooms of a recipe from a YAML in conf/noise."""

import argparse
import inspect
from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

from espnet_robust.common.config import nearest
from espnet_robust.common.errors import ConfigError
from espnet_robust.common.recipe import noise_yaml, read_noise_source
from espnet_robust.corpora import CORPORA

# What a YAML gives for an option of this type, and what to call it.
_KINDS: dict[Any, tuple[Any, str]] = {
    Path: (str, "the path of a directory"),
    str: (str, "text, a number in quotes"),
    bool: (bool, "true or false"),
    int: (int, "a whole number"),
    float: (int | float, "a number"),
    tuple[str, ...]: (list, "a list of texts, numbers in quotes"),
    type(None): (type(None), "nothing"),
}


def prepare_noise(name: str, out: Path, directories: Mapping[str, str]) -> list[Path]:
    """Write the data dirs of noises and rooms.

    Args:
        name: the source, as for ``read_noise_source``; ``check_corpora`` has found no mistake.
        out: the parent directory of the data dirs.
        directories: {option: directory} for the options in the source's ``directories``.

    Raises:
        UserError: as for the corpora's own ``prepare``.
    """
    made = []
    for entry in read_noise_source(name).data:
        options = {key: _filled(value, directories) for key, value in entry.items()}
        module = _module(options.pop("corpus"))
        if "root" in options:
            options["root"] = Path(options["root"])
        made += module.prepare(out, **options)
    return made


def check_corpora(name: str) -> None:
    """Check the corpora of the noise source ``name`` and their options.

    Raises:
        ConfigError: an unknown corpus, or an option that is unknown, missing, of another type
            or not among its choices.
    """
    for entry in read_noise_source(name).data:
        corpus = entry.get("corpus")
        where = f"{noise_yaml(name)}: data"
        if corpus is None:
            raise ConfigError(f"{where}: {dict(entry)!r}: name its corpus")
        if corpus not in CORPORA:
            raise ConfigError(f"{where}: unknown corpus {corpus!r}{nearest(corpus, CORPORA)}")
        given = {key: value for key, value in entry.items() if key != "corpus"}
        _check_options(f"{where}: {corpus}", given, _module(corpus))


def _module(corpus: str) -> ModuleType:
    return import_module(f"espnet_robust.corpora.{corpus}")


def _check_options(where: str, given: Mapping[str, Any], module: ModuleType) -> None:
    hints = get_type_hints(module.prepare)
    known = dict(inspect.signature(module.prepare).parameters)
    known.pop("out")
    choices = _choices(module)
    for name, value in given.items():
        if name not in known:
            raise ConfigError(f"{where}: unknown option {name!r}{nearest(name, known)}")
        _check_type(f"{where}: {name}", value, hints[name])
        if name in choices and value not in choices[name]:
            hint = nearest(value, choices[name])
            raise ConfigError(f"{where}: {name}: unknown {value!r}{hint}")
    for name, parameter in known.items():
        if name not in given and parameter.default is parameter.empty:
            raise ConfigError(f"{where}: missing option {name!r}")


def _choices(module: ModuleType) -> dict[str, Collection[Any]]:
    """{option: its values} for the options of ``prepare_corpus`` that have a choice."""
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return {action.dest: list(action.choices) for action in parser._actions if action.choices}


def _check_type(where: str, value: Any, hint: Any) -> None:
    """Raise ConfigError if ``value``, from a YAML, is none for an option of the type ``hint``."""
    kinds = [hint] if hint in _KINDS else get_args(hint)
    if not any(_is(value, kind) for kind in kinds):
        wanted = " or ".join(_KINDS[kind][1] for kind in kinds)
        raise ConfigError(f"{where} {value!r}: need {wanted}")


def _is(value: Any, kind: Any) -> bool:
    if isinstance(value, bool) and kind is not bool:
        return False
    if isinstance(value, list) and not all(isinstance(one, str) for one in value):
        return False
    return isinstance(value, _KINDS[kind][0])


def _filled(value: Any, directories: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return tuple(value)
    for name, directory in directories.items():
        if isinstance(value, str):
            value = value.replace(f"{{{name}}}", directory)
    return value
