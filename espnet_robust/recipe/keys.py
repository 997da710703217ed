"""Options that a training does not have, found before a recipe begins and not hours into it.

ESPnet, which knows its options, takes seconds to load. So what the shipped configurations set is
taken as known, and ESPnet is loaded only where a configuration has more.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from espnet_robust.common.config import nearest, read_yaml
from espnet_robust.common.errors import ConfigError
from espnet_robust.common.experiment import CONF
from espnet_robust.common.merging import CLASSES, Config
from espnet_robust.common.ranges import Range
from espnet_robust.recipe.plan import DISTILL

FOLDERS = {DISTILL: ("distill",), "asr": ("asr", "downstream"), "cls": ("cls", "downstream")}
COUNTS = ("batch_bins", "max_epoch")
LOGMEL = "logmel.yaml"
# What is computed, and what nearly every recipe here sets.
OTHERS = (
    ("log_interval",),
    ("valid_distortion",),
    ("scheduler_conf", "onecyclelr", "total_steps"),
    ("scheduler_conf", "onecyclelr", "max_lr"),
    ("preprocessor_conf", "", "valid_distortion"),
)

Options = tuple[Mapping[str, Any], Mapping[str, Mapping[str, type]]]
Known = tuple[str, ...]  # (option,), (option, class that it chooses) or (X_conf, class of X, key)


def check_keys(task: str, config: Config, where: str, options_of: Callable[[str], Options]) -> None:
    """Check the names of options, of the classes that they choose, and of these classes' options;
    and the numbers that the estimate of a run computes with.

    Args:
        task: ``distill``, ``asr`` or ``cls``.
        config: a complete configuration, as ``resolve`` returns it.
        where: what it configures, for messages.
        options_of: returns the options of a task with their defaults, and for each that chooses a
            class its classes by name; slow, so called only if needed.

    Raises:
        ConfigError: the training has no such option or class, or it is no such number.
    """
    for name in COUNTS:
        if name in config:
            Range(1).check(f"{where}: {name}", config[name])
    classes = {name: [str(config.get(name))] for name in CLASSES}
    if {*_used(config, classes)} <= _shipped(task):
        return
    defaults, tables = options_of(task)
    if unknown := next((key for key in config if key not in defaults), None):
        raise ConfigError(f"{where}: {unknown}: no such option{nearest(unknown, defaults)}")
    for choice, table in tables.items():
        chosen = config.get(choice, defaults[choice])
        if chosen is None or chosen == "none":
            continue
        if chosen not in table:
            raise ConfigError(f"{where}: {choice}: there is no {chosen!r}{nearest(chosen, table)}")
        known = _parameters(table[chosen])
        for key in config.get(f"{choice}_conf", ()) if known else ():
            if key not in known:
                raise ConfigError(
                    f"{where}: {choice}_conf: {chosen} has no option {key!r}{nearest(key, known)}"
                )


def _used(config: Mapping[str, Any], classes: Mapping[str, Iterable[str]]) -> Iterator[Known]:
    """What a training must know to take ``config``, with one of ``classes`` for each choice."""
    for key, value in config.items():
        if key in classes:
            yield key, str(value)
        elif key.endswith("_conf"):
            for name in classes.get(key.removesuffix("_conf"), [""]):
                yield from ((key, name, str(option)) for option in value or ())
        else:
            yield (key,)


@cache
def _shipped(task: str) -> frozenset[Known]:
    """What the shipped configurations use.

    A file may set options of a class that another one chooses, but none of log-mel features'.
    """
    files = [path for name in FOLDERS[task] for path in (CONF / name).glob("*.yaml")]
    contents: dict[str, Mapping] = {str(path): read_yaml(path) for path in files}
    for path in (CONF / "budget").glob("*.yaml"):
        contents[str(path)] = read_yaml(path).get(task) or {}
    others: dict[str, Iterable[str]] = {
        name: {str(c[name]) for path, c in contents.items() if name in c and LOGMEL not in path}
        for name in CLASSES
    }
    known = set(OTHERS)
    for content in contents.values():
        own = {name: [str(content[name])] for name in CLASSES if name in content}
        known |= {*_used(content, {**others, **own})}
    return frozenset(known)


def _parameters(cls: type) -> list[str]:
    """The names of a class's parameters; none if it takes any."""
    parameters = inspect.signature(cls).parameters.values()
    return [] if any(p.kind is p.VAR_KEYWORD for p in parameters) else [p.name for p in parameters]
