"""One configuration per training: the only place where YAML files are laid over one another.

``resolve`` returns the complete configuration of one training. ``run.sh``, ``distill_train
--config SYSTEM.yaml`` and the tests all call it, so they train the same thing. Weakest layer first:

    distillation                              recogniser (asr) or classifier (cls)
    conf/distill/SYSTEM.yaml and its bases    conf/downstream/train.yaml
    conf/distill.yaml of the recipe           conf/asr/ctc.yaml, or conf/cls/CLASSIFIER.yaml
    conf/distill/SYSTEM.yaml of the recipe    conf/downstream/speech_model.yaml, or
      (a variant)                               conf/TASK/logmel.yaml
    conf/budget/BUDGET.yaml: distill          conf/TASK.yaml of the recipe
    the user's options                        conf/budget/BUDGET.yaml: asr or cls
                                              conf/downstream/distorted.yaml, if asked for
                                              the user's options

Any YAML may name a ``base`` that it is laid over: a system, or a path relative to itself.
``systems: {NAME: {...}}`` in the recipe's distill.yaml changes a single system; in its TASK.yaml,
the recogniser or classifier on it.

Values that follow from the others are computed and may be left out of the YAMLs:
``scheduler_conf.total_steps``, its ``max_lr``, and ``valid_distortion``, which is the training
mixture on development material. Distortion files are copied into the configuration, so that it
stays complete when the files change.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_robust.common.config import base_chain, find_yaml, no_yaml, read_yaml
from espnet_robust.common.errors import ConfigError
from espnet_robust.common.merging import Config, as_options, checked, lay_over, settled
from espnet_robust.common.shipped import conf_dir

CONF = conf_dir()
CHECKOUT = CONF.parent  # or the package directory, if it is installed
NOT_DISTILLED = ("teacher", "logmel")  # systems that need no student
MIXTURES = ("distortion", "valid_distortion")
NO_NUMBER = ("none", "null", "nil")  # spellings of ESPnet's int_or_none


@dataclass(frozen=True)
class Recipe:
    """The parts of a recipe that configurations depend on.

    Args:
        directory: the recipe's; paths in the resolved configuration are relative to it.
        distill_config: the changes it makes to all systems. None means its conf/distill.yaml, if
            there is one; ``none`` means no changes.
        task_config: likewise for its recognisers or classifiers, conf/asr.yaml or conf/cls.yaml.
        train_set, dev_set: names of data dirs under data/; babble is made from their speech.
        asr_distortion: what recognisers and classifiers hear in training: "" for the speech as it
            is, ``train`` for the recipe's distillation mixture, or a distortion YAML.
    """

    directory: Path
    distill_config: Path | None = None
    task_config: Path | None = None
    train_set: str = "train"
    dev_set: str = "dev"
    asr_distortion: str = ""

    @property
    def own(self) -> Path:
        """The directory of the recipe's own systems."""
        return self.directory / "conf/distill"

    def layer(self, given: Path | None, name: str) -> Config:
        """The content of the recipe's ``conf/NAME``, or of the file given instead."""
        path = given or self.directory / "conf" / name
        return _read_chain(path, [CONF]) if given or path.is_file() else {}

    def budget(self, name: str, section: str) -> Config:
        """Step counts from the recipe's conf/budget/NAME.yaml, or else from the checkout's.

        Raises:
            ConfigError: there is no such budget, or it lacks this section.
        """
        folders = [self.directory / "conf/budget", CONF / "budget"]
        path = find_yaml(name, folders)
        if path is None:
            raise ConfigError(f"no budget {name!r}: {no_yaml(name, folders)}")
        content = read_yaml(path)
        if section not in content:
            has = ", ".join(map(str, content))
            raise ConfigError(f"{path}: no section {section!r}; it has {has}")
        where = f"{path}: {section}"
        return checked(as_options(content[section], where), where)


def resolve(
    task: str,
    system: str,
    recipe: Recipe,
    budget: str,
    overrides: Mapping[str, Any] | None = None,
    classifier: str = "linear",
) -> Config:
    """The complete configuration of one training.

    Args:
        task: ``distill``, ``asr`` or ``cls``.
        system: a YAML in conf/distill or in the recipe; for asr and cls also one of NOT_DISTILLED.
        budget: a YAML in conf/budget.
        overrides: the user's options, which win over everything. ``None``, YAML's ``null``, is a
            value as any other: it turns off a specaug.
        classifier: for cls, a YAML in conf/cls.

    Raises:
        ConfigError: a file is missing or wrong; the message has its name and the closest match.
    """
    given = checked(overrides or {}, "options")
    if task == "distill":
        config = lay_over(_system(system, recipe), recipe.budget(budget, task))
        config = _with_mixtures(lay_over(config, given), recipe.directory, recipe)
        if not config.get("teacher"):
            raise ConfigError(f"{system}: no teacher; name a hub id or a local directory")
        config["teacher"] = _path(config["teacher"], recipe.directory, recipe.directory)
        return derive(config, f"{system} with budget {budget}")
    layers = [CONF / "downstream/train.yaml", _task_yaml(task, classifier)]
    logmel = CONF / task / "logmel.yaml"
    layers.append(logmel if system == "logmel" else CONF / "downstream/speech_model.yaml")
    config = {}
    for path in layers:
        config = lay_over(config, checked(read_yaml(path), path))
    layer = recipe.layer(recipe.task_config, f"{task}.yaml")
    config = lay_over(config, _for_system(layer, system, recipe))
    config = lay_over(config, recipe.budget(budget, task))
    if recipe.asr_distortion:
        config = lay_over(config, _distorting(system, recipe))
    return derive(lay_over(config, given), f"{task} on {system} with budget {budget}")


def read_system(path: Path) -> Config:
    """The system in one YAML, laid over its bases, as ``distill_train --config`` takes it.

    Raises:
        ConfigError: as for ``resolve``.
    """
    content = _read_chain(path, [path.parent, CONF / "distill"])
    owner = _owner(path)
    config = _with_mixtures({key: v for key, v in content.items() if key != "systems"}, owner)
    if "teacher" in config:
        config["teacher"] = _path(config["teacher"], owner, Path())
    return derive(config, str(path))


def find_teacher(recipe: Recipe, given: str | None = None) -> str:
    """The recipe's teacher, a directory or a hub id; the first one if there are several."""
    shared = _read_chain(CONF / "distill/distilhubert.yaml", [CONF / "distill"])
    config = lay_over(shared, _recipe_layer(recipe, "distilhubert"))
    teacher = given or config["teacher"]
    if isinstance(teacher, list):
        teacher = teacher[0]
    return _path(teacher, recipe.directory, recipe.directory)


def check_system(system: str, recipe: Recipe) -> None:
    """Raise ConfigError if no YAML has that name."""
    folders = [recipe.own, CONF / "distill"]
    if system not in NOT_DISTILLED and find_yaml(system, folders) is None:
        raise ConfigError(f"unknown system {system!r}: {no_yaml(system, folders)}")


def derive(config: Config, name: str) -> Config:
    """``config`` with the computed values: the length and the peak of OneCycle's schedule.

    ``num_iters_per_epoch`` may be ``none`` too, as for ESPnet's own parser: an epoch is then one
    pass over the speech.

    Raises:
        ConfigError: ``total_steps`` is given and is not the number of updates, or it is not given
            and that number is unknown.
    """
    config = settled(config, name)
    iterations = config.get("num_iters_per_epoch")
    if isinstance(iterations, str) and iterations.strip().lower() in NO_NUMBER:
        config = config | {"num_iters_per_epoch": (iterations := None)}
    if config.get("scheduler") != "onecyclelr" or "num_iters_per_epoch" not in config:
        return config
    scheduler = dict(config.get("scheduler_conf", {}))
    if iterations is None:
        if not {"total_steps", "steps_per_epoch"} & {*scheduler}:
            raise ConfigError(
                f"{name}: without num_iters_per_epoch the number of updates is unknown, which "
                "onecyclelr needs; set scheduler_conf.total_steps, or take another scheduler"
            )
    elif scheduler.setdefault("total_steps", steps := _updates(config, name)) != steps:
        raise ConfigError(
            f"{name}: scheduler_conf.total_steps is {scheduler['total_steps']}, but max_epoch x "
            f"num_iters_per_epoch makes {steps} updates; leave total_steps out, it is computed"
        )
    if "max_lr" not in scheduler and "lr" in config.get("optim_conf", {}):
        scheduler["max_lr"] = config["optim_conf"]["lr"]
    return config | {"scheduler_conf": scheduler}


def _updates(config: Config, name: str) -> int:
    """The number of updates of a whole training."""
    counts = {"accum_grad": 1, **config}
    for key in ("max_epoch", "num_iters_per_epoch", "accum_grad"):
        value = counts.get(key)
        if not isinstance(value, int) or value < 1:
            raise ConfigError(f"{name}: {key}: need a whole number of at least 1, got {value!r}")
    return counts["max_epoch"] * (counts["num_iters_per_epoch"] // counts["accum_grad"])


def _system(system: str, recipe: Recipe) -> Config:
    """A system laid over its bases and the recipe's changes."""
    check_system(system, recipe)
    path = find_yaml(system, [recipe.own, CONF / "distill"])
    assert path, "check_system found it"
    config: Config = {}
    adapted = False
    for part, content in _chain(path, [recipe.own, CONF / "distill"]):
        if not adapted and part.parent.resolve() != (CONF / "distill").resolve():
            config, adapted = lay_over(config, _recipe_layer(recipe, system)), True
        config = lay_over(config, _absolute(content, part, recipe))
    if not adapted:
        config = lay_over(config, _recipe_layer(recipe, system))
    return config


def _recipe_layer(recipe: Recipe, system: str) -> Config:
    path = recipe.distill_config or recipe.directory / "conf/distill.yaml"
    if str(path) == "none" or (recipe.distill_config is None and not path.is_file()):
        return {}
    config: Config = {}
    for part, content in _chain(path, [CONF]):
        config = lay_over(config, _absolute(content, part, recipe))
    return _for_system(config, system, recipe)


def _for_system(config: Config, system: str, recipe: Recipe) -> Config:
    """``config`` with what it says under ``systems`` about one system laid over the rest."""
    single = config.get("systems", {})
    for name in single:
        check_system(name, recipe)
    rest = {key: value for key, value in config.items() if key != "systems"}
    return lay_over(rest, single.get(system, {}))


def _chain(path: Path, folders: Sequence[Path]) -> list[tuple[Path, Config]]:
    return [(part, checked(content, part)) for part, content in base_chain(path, folders)]


def _read_chain(path: Path, folders: Sequence[Path]) -> Config:
    config: Config = {}
    for _, content in _chain(path, folders):
        config = lay_over(config, content)
    return config


def _task_yaml(task: str, classifier: str) -> Path:
    if task == "asr":
        return CONF / "asr/ctc.yaml"
    path = CONF / "cls" / f"{classifier}.yaml"
    if classifier == "logmel" or not path.is_file():
        kinds = sorted(p.stem for p in path.parent.glob("*.yaml") if p.stem != "logmel")
        raise ConfigError(f"classifier {classifier!r} is not {' or '.join(kinds)}")
    return path


def _distorting(system: str, recipe: Recipe) -> Config:
    """What a recogniser or classifier hears in training, and on development data."""
    mixture: Any = recipe.asr_distortion
    if mixture == "train":
        mixture = _system("cdm1", recipe)["distortion"]
    config = read_yaml(CONF / "downstream/distorted.yaml")
    if system == "logmel":
        del config["frontend_conf"]  # no speech model, so none of its settings either
    heard = _with_mixtures({"distortion": mixture}, recipe.directory, recipe)
    return lay_over(config, {"preprocessor_conf": heard})


def _owner(path: Path) -> Path:
    """The recipe or checkout that a YAML belongs to: the directory above its ``conf``."""
    parents = path.resolve().parents
    return next((p.parent for p in parents if p.name == "conf"), path.parent)


def _absolute(content: Config, path: Path, recipe: Recipe) -> Config:
    """``content`` of the YAML ``path``, with its paths made relative to the recipe."""
    owner, config = _owner(path), dict(content)
    for system, changes in config.get("systems", {}).items():
        config["systems"] = {**config["systems"], system: _absolute(changes, path, recipe)}
    if "teacher" in config:
        config["teacher"] = _path(config["teacher"], owner, recipe.directory)
    for key in MIXTURES:
        if isinstance(config.get(key), str):
            config[key] = str(_find_file(config[key], owner, path))
    return config


def _path(teacher: Any, owner: Path, directory: Path) -> Any:
    """A teacher directory below ``owner``, relative to ``directory``; anything else unchanged."""
    if isinstance(teacher, list):
        return [_path(one, owner, directory) for one in teacher]
    if isinstance(teacher, str) and not os.path.isabs(teacher) and (owner / teacher).is_dir():
        return os.path.relpath(owner / teacher, directory)
    return teacher


def _find_file(name: str, owner: Path, where: Path | str) -> Path:
    for folder in (owner, Path(), CHECKOUT):
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"{where}: {name}: no such file")


def _with_mixtures(config: Config, owner: Path, recipe: Recipe | None = None) -> Config:
    """``config`` with the distortion files read in, except those that nothing hears."""
    config = dict(config)
    recipe = recipe or Recipe(owner)
    train = config.pop("distortion", None)
    valid = config.pop("valid_distortion", None)
    mapping = config.get("mapping", "setup2")
    if mapping != "none" and train:
        config["distortion"] = _on(_mixture(train, owner), recipe, dev=False)
    if config.get("valid_mapping", mapping) != "none" and (valid or train):
        mixture = _mixture(valid or train, owner)
        config["valid_distortion"] = _on(mixture, recipe, dev=not valid)
    erase = config.get("erase") or {}
    if erase.get("distortion"):
        mixture = _on(_mixture(erase["distortion"], owner), recipe, dev=False)
        config["erase"] = erase | {"distortion": mixture}
    return config


def _mixture(given: Any, owner: Path) -> Any:
    return read_yaml(_find_file(given, owner, "distortion")) if isinstance(given, str) else given


def _on(mixture: Any, recipe: Recipe, dev: bool) -> Any:
    """A mixture that draws from the recipe's own sets; with ``dev``, from X_dev and not X_train."""
    if isinstance(mixture, Mapping):
        return {key: _on(value, recipe, dev) for key, value in mixture.items()}
    if isinstance(mixture, list):
        return [_on(value, recipe, dev) for value in mixture]
    if not isinstance(mixture, str):
        return mixture
    if dev and mixture.startswith("data/"):
        stem = mixture.removesuffix("train")
        mixture = f"{stem}dev" if stem.endswith(("/", "_")) else mixture
    sets = {"data/train": recipe.train_set, "data/dev": recipe.dev_set}
    return f"data/{sets[mixture]}" if mixture in sets else mixture
