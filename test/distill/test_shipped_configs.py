"""Every system of conf/distill and of the recipes passes the task's checks."""

import re
from pathlib import Path

import pytest
import torch
import yaml
from transformers import HubertConfig, HubertModel

from espnet_robust.bin.distill_train import get_parser
from espnet_robust.common.experiment import Recipe, read_system, resolve
from espnet_robust.distill.domains import AdversaryConfig
from espnet_robust.distill.erasure import EraseConfig
from espnet_robust.distill.losses import AUXILIARY, LOSSES
from espnet_robust.distill.options import parse
from espnet_robust.distill.task import DistillTask
from espnet_robust.models.speech_model import write_preprocessor_config
from espnet_robust.models.student import StudentConfig

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "conf/distill").glob("*.yaml"))
MINI = Recipe(ROOT / "egs/mini/asr1")
VARIANTS = sorted(MINI.own.glob("*.yaml"))
BUDGETS = ("short", "full", "tiny", "paper")


@pytest.fixture(scope="module")
def deep_teacher(tmp_path_factory):
    """Tiny, with as many layers as HuBERT Base."""
    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=32,
        num_hidden_layers=12,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=[16] * 7,
        num_conv_pos_embeddings=15,
        num_conv_pos_embedding_groups=2,
    )
    directory = tmp_path_factory.mktemp("deep")
    HubertModel(config).save_pretrained(directory)
    write_preprocessor_config(directory, normalize=True)
    return directory


def check(config: dict, teacher: Path, tmp_path: Path) -> None:
    """Build the model with ``teacher`` and, as there is no data, a mixture that needs none."""
    chain = {"chain": [{"one_of": ["clean", "white", "clip"]}]}
    mixtures = {key: chain for key in ("distortion", "valid_distortion") if key in config}
    if "distortion" in config.get("erase", {}):
        mixtures["erase"] = config["erase"] | {"distortion": chain}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config | mixtures))
    args = parse(
        get_parser(), ["--config", str(tmp_path / "train.yaml"), "--teacher", str(teacher)]
    )
    DistillTask.build_model(args)
    assert args.scheduler_conf["total_steps"] == args.max_epoch * args.num_iters_per_epoch
    assert args.best_model_criterion[0][0] == "valid"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_full_size(path, deep_teacher, tmp_path):
    config = read_system(path)
    check(config, deep_teacher, tmp_path)
    assert ("distortion" in config) == (config["mapping"] != "none")
    assert "use_amp" not in config


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("system", [path.stem for path in CONFIGS])
def test_under_a_budget(system, budget, deep_teacher, tmp_path):
    config = resolve("distill", system, MINI, budget)
    check(config, deep_teacher, tmp_path)
    assert config["amp"] == "none"  # two cores, and figures in RESULTS.md that were taken so


@pytest.mark.parametrize("system", [path.stem for path in VARIANTS])
def test_variants_of_recipes(system, deep_teacher, tmp_path):
    check(resolve("distill", system, MINI, "full"), deep_teacher, tmp_path)


def test_readme_names_every_choice():
    """A loss, a mapping, a field of a configuration that is added is also documented."""
    text = (ROOT / "conf/distill/README.md").read_text()
    documented = set(re.findall(r"`([\w.]+)[`:]", text))
    parser = get_parser()
    ours = next(g for g in parser._action_groups if g.title == "Distillation")
    options = {action.dest for action in ours._group_actions} - {"student_arch"}
    fields = {
        *StudentConfig.__dataclass_fields__,
        *AdversaryConfig.__dataclass_fields__,
        *EraseConfig.__dataclass_fields__,
    } - {"method"}
    choices = {
        c for a in ours._group_actions if a.choices for c in a.choices if a.dest != "compile"
    }
    assert not ({*options, *fields, *choices, *LOSSES, *AUXILIARY} - documented)
