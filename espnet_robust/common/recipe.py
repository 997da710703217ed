"""What a recipe's options must be before anything runs, and where its noises and rooms are from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from espnet_robust.common.config import nearest, read_config
from espnet_robust.common.errors import ConfigError, UserError
from espnet_robust.common.experiment import CONF, NOT_DISTILLED, Recipe, check_system, resolve
from espnet_robust.common.launch import Ranks

STAGES = range(1, 13)
OWN = "own"  # the source of one's own folders
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
# Options for directories with noises or room responses; conf/noise/*.yaml say which are needed.
DIRECTORIES = ("noise", "rir", "musan", "wham", "fsd50k", "dns")


@dataclass(frozen=True)
class NoiseSource:
    """Noises and rooms: a YAML of conf/noise.

    Args:
        data: what to prepare, in order: ``corpus``, a module of espnet_robust.corpora, and its
            options; ``{NAME}`` in them is the directory given with the option --NAME.
        protocols: test conditions that go with them, YAMLs of conf/distortion.
        directories: {option: what that directory holds}, of those that must be named.
    """

    data: Sequence[Mapping[str, Any]]
    protocols: Sequence[str]
    directories: Mapping[str, str] = field(default_factory=dict)


def read_noise_source(name: str) -> NoiseSource:
    """The source conf/noise/NAME.yaml; that of one's own folders where NAME is a directory.

    Raises:
        ConfigError: there is none of that name.
    """
    path = CONF / "noise" / f"{OWN if _is_own(name) else name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise ConfigError(f"unknown noise_source {name!r}{nearest(name, known)}")
    return read_config(path, NoiseSource)


def _is_own(name: str) -> bool:
    return Path(name).is_dir() and not (CONF / "noise" / f"{name}.yaml").is_file()


def directories_of(name: str, given: Mapping[str, str]) -> dict[str, str]:
    """{option: directory} as given; of a source that is a directory, those in it."""
    if not _is_own(name):
        return dict(given)
    return {**given, **{option: str(Path(name, option)) for option in ("noise", "rir")}}


def check_directories(name: str, given: Mapping[str, str]) -> None:
    """Raises UserError where a directory that the source ``name`` needs is not named or there."""
    given = directories_of(name, given)
    for option, holds in read_noise_source(name).directories.items():
        if not given.get(option):
            raise UserError(f"noise_source {name} needs --{option} DIR, which holds {holds}")
        if not Path(given[option]).is_dir():
            raise UserError(f"--{option} {given[option]}: no such directory; it holds {holds}")


def check_stages(stage: str, stop_stage: str) -> None:
    """Raises ConfigError where a stage does not exist."""
    for number in (stage, stop_stage):
        if number not in map(str, STAGES):
            raise ConfigError(f"stage {number!r} does not exist: stages are 1 to {STAGES[-1]}")


def wanted_stages(stage: str, stop_stage: str, skipped: str = "") -> list[int]:
    """The stages that run; ``skipped``: those passed over, separated by blanks.

    Raises:
        ConfigError: a stage does not exist, or none is left.
    """
    check_stages(stage, stop_stage)
    passed_over = {int(number) for number in skipped.split()}
    wanted = [n for n in STAGES if int(stage) <= n <= int(stop_stage) and n not in passed_over]
    if not wanted:
        raise ConfigError(f"no stage is left from {stage} to {stop_stage} without those skipped")
    return wanted


def check_numbers(nj: str, ranks: Ranks, gpus: int) -> None:
    """Raises ConfigError where ``nj`` is no number, or fewer GPUs are here than a node needs."""
    if not (nj.isdecimal() and int(nj)):
        raise ConfigError(f"nj {nj!r} is not a number of processes")
    if ranks.ngpu > gpus:
        raise ConfigError(
            f"ngpu {ranks.ngpu}: torch finds {gpus} here; stages 5 to 8 need them; or take --ngpu 0"
        )


def check_names(option: str, names: Sequence[str]) -> None:
    """Raises ConfigError where there are no names, or one that cannot be a directory anywhere."""
    if not names:
        raise ConfigError(f"--{option}: name at least one")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigError(f"--{option} {name!r}: use letters, digits and _ . - in names")


def check_seeds(seeds: Sequence[str]) -> None:
    """Raises ConfigError where there are no seeds, or one is not a whole number from 0."""
    if not seeds or not all(seed.isdecimal() for seed in seeds):
        raise ConfigError(
            f"--seeds {' '.join(seeds)!r}: need whole numbers from 0, such as '0 1 2'"
        )


def check_trainings(
    task: str, systems: Sequence[str], recipe: Recipe, budget: str, classifier: str
) -> None:
    """Raises ConfigError where a configuration of these trainings cannot be put together."""
    for system in systems:
        check_system(system, recipe)
        if system not in NOT_DISTILLED:
            resolve("distill", system, recipe, budget)
        resolve(task, system, recipe, budget, classifier=classifier or "linear")
