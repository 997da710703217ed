"""ESPnet's command line, with options from a dataclass and one-line errors.

ESPnet itself answers an unknown option with three hundred lines of usage, does not check the values
in a YAML, and reports errors in optimizer or scheduler as exceptions.
"""

import argparse
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import torch
from espnet2.tasks.abs_task import optim_classes, scheduler_classes
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import str2bool
from humanfriendly import InvalidSize

from espnet_robust.common.config import nearest
from espnet_robust.common.errors import ConfigError
from espnet_robust.common.experiment import read_system


def parse(parser: argparse.ArgumentParser, cmd: Sequence[str] | None) -> argparse.Namespace:
    """``parser.parse_args(cmd)``, checked.

    Raises:
        ConfigError: an unknown option or YAML key (the message has the nearest known one), a word
            that belongs to no option, a value that is not among the choices, or an optimizer or
            scheduler that cannot be built.
    """
    known = [action.dest for action in parser._actions]
    defaults = {action.dest: action.default for action in parser._actions}

    def refuse(message: str):
        raise ConfigError(" ".join(message.split()))

    parser.error = refuse
    config = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    config.add_argument("--config")
    given, cmd = config.parse_known_args(cmd)
    if given.config:
        # A system may have a base, which ESPnet's own --config does not support.
        system = read_system(Path(given.config))
        check_keys(system, known, given.config)
        parser.set_defaults(**system)
    try:
        args, unknown = parser.parse_known_args(cmd)
    except InvalidSize as e:  # no ValueError, which argparse would report
        raise ConfigError(f"max_cache_size or valid_max_cache_size: {e}") from e
    if unknown:
        name = unknown[0].split("=")[0].lstrip("-")
        check_keys([name], known, "command line")
        raise ConfigError(f"command line: {unknown[0]!r} sets nothing; write --{name} VALUE")
    for action in parser._actions:
        value = getattr(args, action.dest, None)
        if action.choices and value not in [*action.choices, defaults[action.dest]]:
            raise ConfigError(
                f"{action.dest}: {value!r} is not one of {', '.join(map(str, action.choices))}"
            )
    _check_optimizer(args)
    return args


def add_options(group: argparse._ArgumentGroup, cls: type) -> None:
    """Add an option for each field of a dataclass, with its name, type, default and metadata.

    A mapping or a nested dataclass takes ``key=value`` or a mapping, a sequence one or more words.
    Metadata: ``help`` and other arguments of ``add_argument``.
    """
    for f in fields(cls):
        group.add_argument(f"--{f.name}", **{"default": _default(f), **_kind(f.type), **f.metadata})


def _default(f: Field) -> Any:
    if f.default is not MISSING:
        return f.default
    return {} if is_dataclass(f.type) else f.default_factory()


def _kind(annotation: Any) -> dict[str, Any]:
    """The arguments of ``add_argument`` for values of a type."""
    if isinstance(annotation, UnionType):  # the command line can give the first type
        annotation = get_args(annotation)[0]
    if annotation is bool:
        return {"type": str2bool}
    if is_dataclass(annotation) or get_origin(annotation) is Mapping:
        return {"action": NestedDictAction}
    if get_origin(annotation) is Sequence:
        return {"nargs": "+"}
    return {"type": annotation}


def check_keys(keys: Sequence[str] | Mapping, known: Sequence[str], where: str) -> None:
    """Raise ConfigError for the first unknown key, with the nearest known one."""
    for key in keys:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}{nearest(key, known)}")


def _check_optimizer(args: argparse.Namespace) -> None:
    """Build optimizer and scheduler for a single number, as ESPnet later does for the model."""
    optimizer = _built("optim_conf", optim_classes[args.optim], [torch.zeros(1)], args.optim_conf)
    if args.scheduler is not None:
        scheduler = scheduler_classes[args.scheduler]
        _built("scheduler_conf", scheduler, optimizer, args.scheduler_conf)


def _built(option: str, cls: type, first, conf: Mapping):
    parameters = inspect.signature(cls).parameters.values()
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        check_keys(conf, [p.name for p in parameters][1:], option)
    for key, value in conf.items():
        if isinstance(value, str) and _is_number(value):
            raise ConfigError(f"{option}: {key}: {value!r} is text in YAML; write {float(value)}")
    try:
        return cls(first, **conf)
    except (TypeError, ValueError) as e:
        raise ConfigError(f"{option}: {' '.join(str(e).split())}") from e


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
