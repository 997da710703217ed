"""Checks of a recipe's options before anything runs, and the sources of its noises and rooms."""

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from espnet_robust.common.config import find_yaml, nearest, no_yaml, read_config
from espnet_robust.common.errors import ConfigError, UserError
from espnet_robust.common.experiment import CONF, NOT_DISTILLED, Recipe, check_system, resolve
from espnet_robust.common.files import read_json, write_atomic
from espnet_robust.common.launch import Ranks
from espnet_robust.common.made_of import difference, summary

STAGES = range(1, 13)
MADE_FROM = "noise_source.json"  # in data/
OWN = "own"  # the noise source for the user's own folders
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_SEED = re.compile("0|[1-9][0-9]*")
LEAST_BPE = 3  # one character, the mark at the beginning of a word, <unk>
# Options that name directories of noises or RIRs; conf/noise/*.yaml say which are needed.
DIRECTORIES = ("noise", "rir", "musan", "wham", "fsd50k", "dns")


@dataclass(frozen=True)
class NoiseSource:
    """Noises and rooms: a YAML in conf/noise.

    Args:
        data: what to prepare, in order: ``corpus``, a module of espnet_robust.corpora, and its
            options; ``{NAME}`` in them is the directory given with the option --NAME.
        protocols: the test conditions that use them, YAMLs in conf/distortion.
        directories: {option: what that directory holds} for the directories the user must name.
    """

    data: Sequence[Mapping[str, Any]]
    protocols: Sequence[str]
    directories: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one = "such as [{corpus: mini_noise}]"
        if not self.data or not _all_are(dict, self.data):
            raise ConfigError(f"data {self.data!r}: need a list of corpora, {one}")
        if not _all_are(str, self.protocols):
            raise ConfigError(f"protocols {self.protocols!r}: need a list of YAMLs; [] for none")
        given = self.directories
        if not isinstance(given, Mapping) or not _all_are(str, [*given, *given.values()]):
            raise ConfigError(f"directories {given!r}: need options and what they hold")
        for name in given:
            if name not in DIRECTORIES:
                raise ConfigError(f"directories: unknown {name!r}{nearest(name, DIRECTORIES)}")


def _all_are(kind: type, values: Any) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(one, kind) for one in values)


def noise_yaml(name: str) -> Path:
    """The YAML of the noise source ``name``, whether there is one or not."""
    return CONF / "noise" / f"{OWN if _is_own(name) else name}.yaml"


def read_noise_source(name: str) -> NoiseSource:
    """The source conf/noise/NAME.yaml, or conf/noise/own.yaml if NAME is a directory.

    Raises:
        ConfigError: there is no source of that name, or something in it is wrong.
    """
    path = noise_yaml(name)
    if not path.is_file():
        if "/" in name:
            raise ConfigError(f"--noise_source {name}: no such directory")
        known = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise ConfigError(f"unknown noise_source {name!r}{nearest(name, known)}")
    return read_config(path, NoiseSource)


def _is_own(name: str) -> bool:
    return Path(name).is_dir() and not (CONF / "noise" / f"{name}.yaml").is_file()


def directories_of(name: str, given: Mapping[str, str]) -> dict[str, str]:
    """{option: directory} as given, plus the subdirectories of a source that is a directory."""
    if not _is_own(name):
        return dict(given)
    return {**given, **{option: str(Path(name, option)) for option in ("noise", "rir")}}


def check_directories(name: str, given: Mapping[str, str]) -> None:
    """Raise UserError if a directory that the source ``name`` needs is not given or missing."""
    given = directories_of(name, given)
    for option, holds in read_noise_source(name).directories.items():
        if not given.get(option):
            raise UserError(f"noise_source {name} needs --{option} DIR, which holds {holds}")
        if not Path(given[option]).is_dir():
            raise UserError(f"--{option} {given[option]}: no such directory; it holds {holds}")


def _sources_of(name: str, given: Mapping[str, str]) -> dict[str, Any]:
    """What decides the data dirs of noises and rooms, as far as it is given."""
    source = read_noise_source(name)
    given = directories_of(name, given)
    named = {
        option: os.path.realpath(given[option])
        for option in source.directories
        if given.get(option)
    }
    return {"noise_source": name, "data": list(source.data), "directories": named}


def forget_noise(data: Path) -> None:
    """Before they are made again, which may be interrupted."""
    (data / MADE_FROM).unlink(missing_ok=True)


def record_noise(name: str, given: Mapping[str, str], data: Path) -> None:
    """Write down in ``data`` which source its noises and rooms are from."""
    write_atomic(data / MADE_FROM, json.dumps(_sources_of(name, given), indent=1) + "\n")


def check_noise(name: str, given: Mapping[str, str], data: Path) -> None:
    """Raise UserError if the noises and rooms in ``data`` are from another source than this.

    Directories that are not given may be any, and so may all if stage 2 has not written it down.
    """
    if not (data / MADE_FROM).is_file():
        return
    old, new = read_json(data / MADE_FROM), _sources_of(name, given)
    new["directories"] = old.get("directories", {}) | new["directories"]
    if any(old.get(key) != new[key] for key in ("data", "directories")):
        was = {key: value for key, value in old.items() if key != "data"}  # long lists
        changes = difference(was, {key: new[key] for key in was})
        changes = changes or [f"conf/noise/{name}.yaml changed"]
        raise UserError(
            f"{data}: its noises and rooms were made from something else: {summary(changes)}; "
            "begin with --stage 2"
        )


def find_protocols(words: Sequence[str], recipe: Path) -> list[str]:
    """The YAMLs of test protocols, relative to the recipe's directory.

    Args:
        words: each a path from there, or the name of a YAML in conf/distortion of the recipe or of
            the checkout.

    Raises:
        ConfigError: there is no YAML of that name, or a protocol is named twice.
    """
    folders = [recipe / "conf/distortion", CONF / "distortion"]
    found = []
    for word in words:
        if "/" in word or word.endswith((".yaml", ".yml")):
            found.append(word)
        elif path := find_yaml(word, folders):
            found.append(os.path.relpath(path, recipe))
        else:
            raise ConfigError(f"--protocol {word}: {no_yaml(word, folders)}")
    _check_once("protocol", found)
    return found


def check_dumpdir(data: Path, directory: Path) -> None:
    """Raise UserError if ``data`` exists and is not a link to ``directory``, or has it inside."""
    if Path(os.path.abspath(data)) in Path(os.path.abspath(directory)).parents:
        raise UserError(
            f"--dumpdir {directory}: it is inside {data}, which is to become a link to it; "
            "name a directory elsewhere"
        )
    if (data.exists() or data.is_symlink()) and data.resolve() != directory.resolve():
        there, new = (shlex.quote(str(path)) for path in (directory, directory / "data"))
        raise UserError(
            f"--dumpdir {directory}: {data} already exists and is not a link to it; "
            f"fix: mkdir -p {there} && mv {shlex.quote(str(data))} {new}  # and --dumpdir {new}"
        )


def check_stages(stage: str, stop_stage: str) -> None:
    """Raise ConfigError if a stage does not exist."""
    for number in (stage, stop_stage):
        if number not in map(str, STAGES):
            raise ConfigError(f"stage {number!r} does not exist: stages are 1 to {STAGES[-1]}")


def wanted_stages(stage: str, stop_stage: str, skipped: str = "") -> list[int]:
    """The numbers of the stages to run; ``skipped`` lists those to skip, separated by blanks.

    Raises:
        ConfigError: a stage does not exist, or none is left.
    """
    check_stages(stage, stop_stage)
    passed_over = {int(number) for number in skipped.split()}
    wanted = [n for n in STAGES if int(stage) <= n <= int(stop_stage) and n not in passed_over]
    if not wanted:
        raise ConfigError(f"no stage from {stage} to {stop_stage} is left: all are skipped")
    return wanted


def check_numbers(nj: str, ranks: Ranks, gpus: int) -> None:
    """Raise ConfigError if ``nj`` is not a number or a node has fewer GPUs than it needs."""
    if not (nj.isdecimal() and int(nj)):
        raise ConfigError(f"nj {nj!r} is not a number of processes")
    if ranks.ngpu > gpus:
        raise ConfigError(
            f"ngpu {ranks.ngpu}: torch finds {gpus} here, and stages 5 to 8 use them; try --ngpu 0"
        )


def check_names(option: str, names: Sequence[str]) -> None:
    """Raise ConfigError if there are none, or one is no portable directory name or repeats."""
    if not names:
        raise ConfigError(f"--{option}: name at least one")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigError(f"--{option} {name!r}: names may have letters, digits and _ . -")
    _check_once(option, names)


def check_seeds(seeds: Sequence[str]) -> None:
    """Raise ConfigError if there are no seeds, one is not a whole number from 0, or one repeats.

    01 and 1 are one seed, so only the latter is taken.
    """
    if not seeds or not all(_SEED.fullmatch(seed) for seed in seeds):
        raise ConfigError(
            f"--seeds {' '.join(seeds)!r}: need whole numbers from 0, such as '0 1 2', "
            "in digits without zeros before them"
        )
    _check_once("seeds", seeds)


def check_nbpe(nbpe: str) -> None:
    """Raise ConfigError if ``nbpe`` is no size of a BPE vocabulary; the text may need a larger."""
    if not re.fullmatch("[1-9][0-9]*", nbpe) or int(nbpe) < LEAST_BPE:
        raise ConfigError(
            f"--nbpe {nbpe!r}: need the size of a BPE vocabulary, a whole number of at least "
            f"{LEAST_BPE}, such as 100"
        )


def _check_once(option: str, words: Sequence[str]) -> None:
    if twice := [word for word in dict.fromkeys(words) if words.count(word) > 1]:
        given = " ".join(words)
        raise ConfigError(f"--{option} {given!r}: {twice[0]} stands there twice; name it once")


def check_trainings(
    task: str, systems: Sequence[str], recipe: Recipe, budget: str, classifier: str
) -> None:
    """Raise ConfigError if the configuration of one of these trainings cannot be resolved."""
    for system in systems:
        check_system(system, recipe)
        if system not in NOT_DISTILLED:
            resolve("distill", system, recipe, budget)
        resolve(task, system, recipe, budget, classifier=classifier or "linear")
