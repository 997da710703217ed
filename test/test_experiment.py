"""What each recipe trains: every system under every budget, against the files in test/resolved.

A file there holds what its recipe resolves to: one system under one budget in full, then what each
other system, and each other budget, changes in that. All combinations of them are checked.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from espnet_robust.config import read_yaml
from espnet_robust.errors import ConfigError
from espnet_robust.experiment import (
    CONF,
    NOT_DISTILLED,
    Recipe,
    find_teacher,
    lay_over,
    parse_settings,
    read_system,
    resolve,
)

ROOT = Path(__file__).parents[1]
RESOLVED = ROOT / "test/resolved"
MINI_PRESET = ROOT / "egs/librispeech/asr1/conf/distill_mini.yaml"
# Name of the file -> task, recipe as its run.sh has it, classifier.
RECIPES = {
    "mini_asr1": ("asr", Recipe(ROOT / "egs/mini/asr1"), ""),
    "mini_ic1": ("cls", Recipe(ROOT / "egs/mini/ic1"), "blstm"),
    "mini_ks1": ("cls", Recipe(ROOT / "egs/mini/ks1"), "linear"),
    "fsdd_asr1": ("asr", Recipe(ROOT / "egs/fsdd/asr1"), ""),
    "speech_commands_ks1": ("cls", Recipe(ROOT / "egs/speech_commands/ks1"), "linear"),
    "librispeech_asr1_mini": ("asr", Recipe(ROOT / "egs/librispeech/asr1", MINI_PRESET), ""),
    "librispeech_asr1_100h": ("asr", Recipe(ROOT / "egs/librispeech/asr1"), ""),
    "an4_asr1": ("asr", Recipe(ROOT / "egs/an4/asr1"), ""),
    "chime4_asr1": ("asr", Recipe(ROOT / "egs/chime4/asr1"), ""),
    "fluent_speech_commands_ic1": (
        "cls", Recipe(ROOT / "egs/fluent_speech_commands/ic1"), "linear",
    ),
    "iemocap_er1": (
        "cls",
        Recipe(ROOT / "egs/iemocap/er1", train_set="fold1_train", dev_set="fold1_dev"),
        "linear",
    ),
}  # fmt: skip
FULL = {"distill": ("cdm1", "short"), "asr": ("teacher", "short"), "cls": ("teacher", "short")}


def systems(task: str, recipe: Recipe) -> list[str]:
    if task != "distill":
        return ["teacher", "logmel", "cdm1"]
    return sorted({p.stem for folder in (recipe.own, CONF / "distill") for p in folder.glob("*.yaml")})


def change(base: Any, other: Any) -> Any:
    """What turns ``base`` into ``other``: new values, and None for keys that go."""
    changed = {}
    for key in sorted({*base, *other}):
        if key not in other:
            changed[key] = None
        elif key not in base:
            changed[key] = other[key]
        elif isinstance(base[key], dict) and isinstance(other[key], dict):
            if inner := change(base[key], other[key]):
                changed[key] = inner
        elif base[key] != other[key]:
            changed[key] = other[key]
    return changed


def configuration(task: str, system: str, name: str, budget: str) -> dict[str, Any]:
    recipe, classifier = RECIPES[name][1:]
    overrides = None
    if task != "distill" and system != "logmel":
        where = {"hf": find_teacher(recipe)} if system == "teacher" else {"path": "DIR/student"}
        overrides = {"frontend_conf": {"student": where}}
    return resolve(task, system, recipe, budget, overrides, classifier)


def summary(task: str, name: str) -> dict[str, Any]:
    system, budget = FULL[task]
    recipe = RECIPES[name][1]
    full = configuration(task, system, name, budget)
    return {
        f"{system} with budget {budget}": full,
        "systems": {
            s: change(full, configuration(task, s, name, budget))
            for s in systems(task, recipe)
            if s != system
        },
        "budgets": {
            b: change(full, configuration(task, system, name, b)) for b in ("full", "tiny", "paper")
        },
    }


@pytest.mark.parametrize("name", RECIPES)
def test_resolved_as_the_file_says(name):
    want = yaml.safe_load((RESOLVED / f"{name}.yaml").read_text())
    for task in ("distill", RECIPES[name][0]):
        assert summary(task, name) == want[task]


@pytest.mark.parametrize("name", RECIPES)
def test_every_system_under_every_budget(name):
    """A budget changes the same in each system, and a system the same under each budget."""
    want = yaml.safe_load((RESOLVED / f"{name}.yaml").read_text())
    for task in ("distill", RECIPES[name][0]):
        first, budget = FULL[task]
        part = want[task]
        full = part[f"{first} with budget {budget}"]
        for system, ours in {first: {}, **part["systems"]}.items():
            for other, steps in part["budgets"].items():
                expected = applied(applied(full, ours), steps)
                assert configuration(task, system, name, other) == expected, (task, system, other)


def applied(base: dict, changes: dict) -> dict:
    out = dict(base)
    for key, value in changes.items():
        if value is None and base.get(key) is not None:
            del out[key]
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            out[key] = applied(base[key], value)
        else:
            out[key] = value
    return out
