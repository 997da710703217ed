"""What each recipe trains: every system under every budget, against the files in test/resolved.

A file there holds what its recipe resolves to: one system under one budget in full, then what each
other system, and each other budget, changes in that. All combinations of them are checked.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import ConfigError
from espnet_robust.common.experiment import CONF, Recipe, find_teacher, read_system, resolve
from espnet_robust.common.merging import lay_over, parse_settings

ROOT = Path(__file__).parents[2]
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
    "emodb_er1": (
        "cls",
        Recipe(ROOT / "egs/emodb/er1", train_set="fold1_train", dev_set="fold1_dev"),
        "linear",
    ),
    "nemo_asr1": ("asr", Recipe(ROOT / "egs/nemo/asr1"), ""),
    "nemo_er1": ("cls", Recipe(ROOT / "egs/nemo/er1"), "linear"),
}  # fmt: skip
FULL = {"distill": ("cdm1", "short"), "asr": ("teacher", "short"), "cls": ("teacher", "short")}


def systems(task: str, recipe: Recipe) -> list[str]:
    if task != "distill":
        special = recipe.layer(recipe.task_config, f"{task}.yaml").get("systems", {})
        return ["teacher", "logmel", "cdm1", *special]
    folders = (recipe.own, CONF / "distill")
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})


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


def test_the_papers_recipes_train_what_their_systems_say():
    for name in ("librispeech_asr1_100h", "an4_asr1", "chime4_asr1", "iemocap_er1"):
        cdm1 = configuration("distill", "cdm1", name, "paper")
        paper = read_yaml(CONF / "distortion/paper_double.yaml")
        assert cdm1["distortion"] == paper
        noises = [k.get("noise") for k in cdm1["valid_distortion"]["chain"][0]["one_of"]]
        assert noises == ["data/musan_dev", None, "data/wham_dev", None]
        assert cdm1["teacher"] == "facebook/hubert-base-ls960"


def test_a_person_at_the_shell_gets_what_a_recipe_gets():
    for path in sorted((CONF / "distill").glob("*.yaml")):
        alone = read_system(path)
        recipe = resolve("distill", path.stem, Recipe(ROOT / "egs/an4/asr1"), "paper")
        assert alone == recipe
    variant = read_system(ROOT / "egs/mini/asr1/conf/distill/cdm1_mse.yaml")
    assert variant["loss_conf"] == {"l1": 0, "cosine": 0, "mse": 1.0}
    assert variant["mapping"] == "setup1" and variant["distortion"]["chain"]


def test_no_two_systems_share_their_lines():
    """A system holds what differs from its base and nothing else."""
    for path in [*(CONF / "distill").glob("*.yaml"), *ROOT.glob("egs/*/*/conf/distill/*.yaml")]:
        own = read_yaml(path)
        if path.stem == "distilhubert":
            continue
        assert 1 <= len(own) - ("base" in own) <= 3, path
        beside = path.with_stem(own["base"])
        base = read_system(beside if beside.is_file() else CONF / "distill" / beside.name)
        del own["base"]
        assert not [key for key in own if base.get(key) == own[key]], path


@pytest.fixture
def recipe(tmp_path):
    """A recipe of its own conf/."""

    def recipe(**files: str) -> Recipe:
        for name, text in files.items():
            path = tmp_path / "conf" / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Recipe(tmp_path)

    return recipe


def test_the_strongest_layer_wins(recipe):
    ours = recipe(
        distill="{crop_seconds: 1.0, grad_clip: 1.0, systems: {cdm2: {ema: 0.5}}}",
        distill__mine="{base: cdm2, grad_clip: 2.0}",
        budget__quick="distill: {max_epoch: 3, num_iters_per_epoch: 10}",
    )
    mine = resolve("distill", "mine", ours, "quick", {"seed": 7})
    assert (mine["mapping"], mine["crop_seconds"], mine["grad_clip"]) == ("setup2", 1, 2)
    assert mine["seed"] == 7 and mine["teacher"] == "facebook/hubert-base-ls960"
    assert mine["scheduler_conf"]["total_steps"] == 30 and mine["scheduler_conf"]["max_lr"] == 2e-4
    assert resolve("distill", "cdm2", ours, "quick")["ema"] == 0.5 and "ema" not in mine
    assert "systems" not in mine and "base" not in mine


def test_a_recipe_that_changes_nothing_for_once():
    ours = Recipe(ROOT / "egs/mini/asr1", Path("none"))
    assert resolve("distill", "cdm1", ours, "paper") == read_system(CONF / "distill/cdm1.yaml")


def test_updates_are_fewer_than_batches_that_accumulate(recipe):
    ours = recipe(budget__quick="distill: {max_epoch: 3, num_iters_per_epoch: 11, accum_grad: 2}")
    config = resolve("distill", "cdm1", ours, "quick")
    assert config["scheduler_conf"]["total_steps"] == 15


def test_nobody_hears_a_distortion(recipe):
    ours = recipe(distill="distortion: conf/distortion/train.yaml")
    config = resolve("distill", "distilhubert", ours, "tiny")
    assert "distortion" not in config and "valid_distortion" not in config
    ours = recipe(distill="{distortion: conf/distortion/train.yaml, valid_mapping: setup1}")
    config = resolve("distill", "distilhubert", ours, "tiny")
    assert "distortion" not in config and config["valid_distortion"]["snr_db"] == [0, 20]


def test_babble_of_the_recipes_own_speech():
    ours = Recipe(ROOT / "egs/mini/asr1", train_set="fold1_train", dev_set="fold1_dev")
    config = resolve("distill", "cdm1", ours, "tiny")
    for key, data in (("distortion", "fold1_train"), ("valid_distortion", "fold1_dev")):
        named = {k["name"]: k for k in config[key]["chain"][0]["one_of"]}
        assert named["babble"]["speech"] == f"data/{data}"
        assert named["noise"]["noise"] == f"data/noise_{data.partition('_')[2]}"
    erase = resolve("distill", "cdm2_erased", ours, "tiny")["erase"]
    assert erase["distortion"]["chain"][0]["one_of"][4]["speech"] == "data/fold1_train"
    theirs = {"valid_distortion": "conf/distortion/train.yaml"}
    given = resolve("distill", "cdm1", ours, "tiny", theirs)
    named = {k["name"]: k for k in given["valid_distortion"]["chain"][0]["one_of"]}
    assert named["noise"]["noise"] == "data/noise_train"  # what the user names stays


def test_another_class_drops_the_configuration_of_the_first():
    base = {"encoder": "blstm", "encoder_conf": {"hidden_size": 8}, "optim_conf": {"lr": 1}}
    changed = lay_over(base, {"encoder": "conformer", "encoder_conf": {"num_blocks": 2}})
    assert changed["encoder_conf"] == {"num_blocks": 2} and changed["optim_conf"] == {"lr": 1}
    assert lay_over(base, {"encoder": "blstm", "encoder_conf": {"dropout": 0}})["encoder_conf"] == {
        "hidden_size": 8,
        "dropout": 0,
    }


def test_settings():
    assert parse_settings(["a.b=[1, 2]", "a.c=x"]) == {"a": {"b": [1, 2], "c": "x"}}
    assert parse_settings(["d=0.1", "e=null"]) == {"d": 0.1, "e": None}
    with pytest.raises(ConfigError, match="--set lr: write KEY=VALUE"):
        parse_settings(["lr"])


def test_teacher_of_the_recipe(tmp_path):
    assert find_teacher(Recipe(ROOT / "egs/an4/asr1"), str(tmp_path)) == str(tmp_path)
    (tmp_path / "two.yaml").write_text("teacher: [a/hubert, a/wavlm]")
    two = Recipe(ROOT / "egs/an4/asr1", tmp_path / "two.yaml")
    assert find_teacher(two) == "a/hubert"
    assert resolve("distill", "cdm1", two, "tiny")["teacher"] == ["a/hubert", "a/wavlm"]
    (tmp_path / "mine.yaml").write_text(f"{{base: cdm1, teacher: {tmp_path}}}")
    assert read_system(tmp_path / "mine.yaml")["teacher"] == str(tmp_path)
    assert find_teacher(Recipe(ROOT / "egs/mini/asr1")) == "teacher"
    assert find_teacher(Recipe(ROOT / "egs/fsdd/asr1")) == "../../mini/asr1/teacher"
    assert find_teacher(Recipe(ROOT / "egs/an4/asr1")) == "facebook/hubert-base-ls960"
    assert find_teacher(Recipe(ROOT / "egs/an4/asr1"), "a/wavlm") == "a/wavlm"


def test_a_recogniser_hears_the_mixture_of_distillation_if_asked_to():
    mini = Recipe(ROOT / "egs/mini/asr1", asr_distortion="train", dev_set="dev2")
    student = {"frontend_conf": {"student": {"path": "DIR/student"}}}
    asr = resolve("asr", "cdm1", mini, "short", student)
    distil = resolve("distill", "cdm1", mini, "short")
    assert asr["preprocessor"] == "distorting"
    assert asr["preprocessor_conf"]["distortion"] == distil["distortion"]
    assert asr["preprocessor_conf"]["valid_distortion"] == distil["valid_distortion"]
    assert "data/dev2" in str(asr["preprocessor_conf"]["valid_distortion"])
    assert asr["frontend_conf"]["cache_gb"] == 0  # else every epoch would hear the first draw

    clean = resolve("asr", "cdm1", Recipe(mini.directory), "short", student)
    assert "preprocessor" not in clean
    del asr["preprocessor"], asr["preprocessor_conf"]
    assert change(clean, asr) == {"frontend_conf": {"cache_gb": 0.0}}


@pytest.mark.parametrize(("task", "system"), [("asr", "logmel"), ("cls", "logmel")])
def test_log_mel_features_have_no_cache_to_switch_off(task, system):
    hearing = resolve(task, system, Recipe(ROOT / "egs/mini/ic1", asr_distortion="train"), "short")
    assert hearing["preprocessor"] == "distorting" and "cache_gb" not in hearing["frontend_conf"]


def test_a_recogniser_hears_the_mixture_of_a_yaml(tmp_path):
    (tmp_path / "white.yaml").write_text("chain: [{name: white, snr_db: 5}]")
    recipe = Recipe(ROOT / "egs/mini/asr1", asr_distortion=str(tmp_path / "white.yaml"))
    heard = resolve("asr", "teacher", recipe, "short")["preprocessor_conf"]
    assert heard["distortion"] == {"chain": [{"name": "white", "snr_db": 5}]}
    missing = Recipe(ROOT / "egs/mini/asr1", asr_distortion="trian")
    with pytest.raises(ConfigError, match="trian: no such file"):
        resolve("asr", "teacher", missing, "short")


@pytest.mark.parametrize(
    ("system", "budget", "files", "message"),
    [
        ("cdm9", "tiny", {}, "unknown system 'cdm9': there is no cdm9.yaml, did you mean 'cdm"),
        ("cdm1", "tinny", {}, "no budget 'tinny': there is no tinny.yaml, did you mean 'tiny'"),
        ("cdm1", "b", {"budget__b": "asr: {}"}, "no section 'distill'; it has asr"),
        ("mine", "tiny", {"distill__mine": "base: cdm0"}, "mine.yaml: base 'cdm0': there is no"),
        ("cdm1", "tiny", {"distill": "systems: {cmd1: {ema: 0}}"}, "unknown system 'cmd1'"),
        ("mine", "tiny", {"distill__mine": "base: ./x.yaml"}, "x.yaml: cannot be read"),
        (
            "a", "tiny", {"distill__a": "base: ./b.yaml", "distill__b": "base: ./a.yaml"},
            "a.yaml: its bases lead back to",
        ),
        ("mine", "tiny", {"distill__mine": "{base: cdm1, distortion: x.yaml}"}, "x.yaml: no such"),
        (
            "cdm1", "tiny", {"distill": "scheduler_conf: {total_steps: 9}"},
            "total_steps is 9, but max_epoch x num_iters_per_epoch makes 4 updates; leave",
        ),
    ],
)  # fmt: skip
def test_refuses(recipe, system, budget, files, message):
    with pytest.raises(ConfigError, match=message):
        resolve("distill", system, recipe(**files), budget)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("systems: [cdm1]", r"systems: must be a mapping {SYSTEM: {...}}, got ['cdm1']"),
        ("systems: 3", "systems: must be a mapping {SYSTEM: {...}}, got 3"),
        ("systems: {cdm1: [a]}", "systems: cdm1: must be a mapping of options, got ['a']"),
        ("systems: {cdm1: {erase: 4}}", "cdm1: erase: must be a mapping of options, got 4"),
        ("scheduler_conf: 3", "scheduler_conf: must be a mapping of options, got 3"),
        ("optim_conf: [a]", "optim_conf: must be a mapping of options, got ['a']"),
        ("erase: 16", "erase: must be a mapping of options, got 16"),
        ("erase: [16]", "erase: must be a mapping of options, got [16]"),
    ],
)
def test_refuses_what_is_no_mapping(recipe, text, message):
    for name in ("distill", *(() if "systems" in text else ("distill__cdm1",))):
        with pytest.raises(ConfigError) as e:
            resolve("distill", "cdm1", recipe(**{"distill": "{}", name: text}), "tiny")
        assert str(e.value).endswith(f"{name.replace('__', '/')}.yaml: {message}")
    with pytest.raises(ConfigError) as e:
        resolve("cls", "cdm1", recipe(distill="{}", cls=text), "tiny")
    assert str(e.value).endswith(f"cls.yaml: {message}")
    with pytest.raises(ConfigError) as e:
        resolve("asr", "cdm1", recipe(), "tiny", yaml.safe_load(text))
    assert str(e.value) == f"options: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("distill: [a]", "b.yaml: distill: must be a mapping of options, got ['a']"),
        ("distill: {optim_conf: 5}", "b.yaml: distill: optim_conf: must be a mapping of options"),
        ("1: {}", "b.yaml: no section 'distill'; it has 1"),
    ],
)
def test_refuses_a_budget(recipe, text, message):
    with pytest.raises(ConfigError) as e:
        resolve("distill", "cdm1", recipe(budget__b=text), "b")
    assert message in str(e.value)


def test_an_empty_section_changes_nothing(recipe):
    plain = resolve("distill", "cdm1", recipe(), "paper")
    ours = recipe(distill="systems: {cdm1: }", budget__b="distill:")
    assert resolve("distill", "cdm1", ours, "b") == plain
    assert resolve("distill", "cdm1", recipe(distill="systems:"), "b") == plain


@pytest.mark.parametrize("value", [5, [5], {"a": 1}])
def test_refuses_a_list_that_is_none(recipe, value):
    for key in ("freeze_param", "init_param"):
        with pytest.raises(ConfigError) as e:
            resolve("asr", "teacher", recipe(), "tiny", {key: value})
        assert str(e.value).endswith(f"tiny: {key}: must be a list of texts, got {value!r}")


def test_refuses_an_unknown_classifier(recipe):
    with pytest.raises(ConfigError, match="classifier 'svm' is not blstm or linear"):
        resolve("cls", "teacher", recipe(), "tiny", classifier="svm")


def ordered(value):
    """Mappings by key, but budgets from short to long."""
    if isinstance(value, list):
        return [ordered(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: ordered(value[key]) for key in (value if "paper" in value else sorted(value))}


def write_resolved() -> None:
    """python test/common/test_experiment.py: write test/resolved anew. Then read the diff."""

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    for name, (task, recipe, _) in RECIPES.items():
        parts = {t: {k: ordered(v) for k, v in summary(t, name).items()} for t in (task, "distill")}
        text = yaml.dump(parts, Dumper=Plain, sort_keys=False, width=100, default_flow_style=None)
        where = recipe.directory.relative_to(ROOT)
        about = f"# What {where} trains; see test/common/test_experiment.py.\n"
        (RESOLVED / f"{name}.yaml").write_text(about + text)


if __name__ == "__main__":
    write_resolved()
