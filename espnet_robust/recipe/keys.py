"""Options that a training does not have, found before a recipe begins and not hours into it.

ESPnet, which knows its options, takes seconds to load. So what the shipped configurations set is
taken as known, and ESPnet is loaded only where a configuration has more.
"""

import contextlib
import inspect
import io
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
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
NAMES = {DISTILL: "DistillTask", "asr": "ASRTask", "cls": "CLSTask"}
# What is computed, and what nearly every recipe here sets.
OTHERS = (
    ("log_interval",),
    ("valid_distortion",),
    ("scheduler_conf", "onecyclelr", "total_steps"),
    ("scheduler_conf", "onecyclelr", "max_lr"),
    ("preprocessor_conf", "", "valid_distortion"),
)

Known = tuple[str, ...]  # (option,), (option, class that it chooses) or (X_conf, class of X, key)


def check_keys(task: str, config: Config, where: str) -> None:
    """Check the names of options, of the classes that they choose, and of these classes' options;
    and the numbers that the estimate of a run computes with.

    Args:
        task: ``distill``, ``asr`` or ``cls``.
        config: a complete configuration, as ``resolve`` returns it.
        where: what it configures, for messages.

    Raises:
        ConfigError: the training has no such option or class, or it is no such number.
    """
    for name in COUNTS:
        if name in config:
            Range(1).check(f"{where}: {name}", config[name])
    classes = {name: [str(config.get(name))] for name in CLASSES}
    if {*_used(config, classes)} <= _shipped(task):
        return
    defaults, tables = _espnets(task)
    if unknown := next((key for key in config if key not in defaults), None):
        raise ConfigError(f"{where}: {unknown}: no such option{nearest(unknown, defaults)}")
    for choice, table in tables.items():
        name = config.get(choice, defaults[choice])
        if name is None or name == "none":
            continue
        if name not in table:
            raise ConfigError(f"{where}: {choice}: there is no {name!r}{nearest(name, table)}")
        known = _parameters(table[name])
        for key in config.get(f"{choice}_conf", ()) if known else ():
            if key not in known:
                raise ConfigError(
                    f"{where}: {choice}_conf: {name} has no option {key!r}{nearest(key, known)}"
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


@cache
def _espnets(task: str) -> tuple[dict[str, Any], dict[str, Mapping[str, type]]]:
    """The options with their defaults, and the classes that each choice has."""
    import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet

    with contextlib.redirect_stderr(io.StringIO()):  # ESPnet tells which packages it does without
        abs_task = import_module("espnet2.tasks.abs_task")
        if task == DISTILL:
            module = import_module("espnet_robust.distill.task")
        else:
            import_module("espnet_robust.plugin.registration").register()
            module = import_module(f"espnet2.tasks.{task}")
    trained = getattr(module, NAMES[task])
    parser = trained.get_parser()
    tables = {choices.name: choices.classes for choices in trained.class_choices_list}
    tables.pop("preprocessor", None)  # ours has the options of the one inside it as well
    tables |= {"optim": abs_task.optim_classes, "scheduler": abs_task.scheduler_classes}
    return vars(parser.parse_args([])), tables


def _parameters(cls: type) -> list[str]:
    """The names of a class's parameters; none if it takes any."""
    parameters = inspect.signature(cls).parameters.values()
    return [] if any(p.kind is p.VAR_KEYWORD for p in parameters) else [p.name for p in parameters]
