"""Every YAML in conf/distill, alone and under the recipes' options, passes the task's checks."""

import re
from pathlib import Path

import pytest
import torch
import yaml
from transformers import HubertConfig, HubertModel

from espnet_robust.bin.distill_train import get_parser
from espnet_robust.config import merge, read_layer, read_yaml
from espnet_robust.distill.adversary import AdversaryConfig
from espnet_robust.distill.losses import AUXILIARY, LOSSES
from espnet_robust.distill.options import parse
from espnet_robust.distill.task import DistillTask
from espnet_robust.models.speech_model import write_preprocessor_config
from espnet_robust.models.student import StudentConfig

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "conf/distill").glob("*.yaml"))
VARIANTS = sorted(ROOT.glob("egs/*/*/conf/distill/*.yaml"))
SMALLER = ROOT / "egs/mini/asr1/conf/distill.yaml"
BUDGETS = sorted(ROOT.glob("egs/*/*/conf/budget/*.yaml"))


@pytest.fixture(scope="module")
def deep_teacher(tmp_path_factory):
    """Tiny, with as many layers as HuBERT Base."""
    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=16,
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
    (tmp_path / "chain.yaml").write_text("chain: [{one_of: [clean, white, clip]}]\n")
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config))
    words = ["--config", str(tmp_path / "train.yaml"), "--teacher", str(teacher)]
    if config["mapping"] != "none":
        words += ["--distortion", str(tmp_path / "chain.yaml")]
    args = parse(get_parser(), words)
    DistillTask.build_model(args)
    assert args.scheduler_conf["total_steps"] == args.max_epoch * args.num_iters_per_epoch
    assert args.best_model_criterion[0][0] == "valid"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_full_size(path, deep_teacher, tmp_path):
    config = read_yaml(path)
    check(config, deep_teacher, tmp_path)
    if config["mapping"] != "none":
        assert (ROOT / config["distortion"]).is_file()
    assert "use_amp" not in config


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda path: "-".join(path.parts[-5::2]))
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_under_a_budget(path, budget, deep_teacher, tmp_path):
    config = merge(read_layer(str(path), [str(SMALLER)]), read_yaml(budget)["distill"])
    check(config, deep_teacher, tmp_path)
    assert config["amp"] == "none"  # two cores, and figures in RESULTS.md that were taken so


@pytest.mark.parametrize("path", VARIANTS, ids=lambda path: path.stem)
def test_variants_of_recipes(path, deep_teacher, tmp_path):
    adapted = read_layer(str(path), [str(SMALLER)])
    check(
        merge(adapted, read_layer(f"{ROOT}/conf/budget/full.yaml:distill")), deep_teacher, tmp_path
    )
    own = read_yaml(path)
    base = read_layer(str(path.parent / own.pop("base")), [str(SMALLER)])
    assert own and adapted == merge(base, own) != base


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
    } - {"method"}
    choices = {
        c for a in ours._group_actions if a.choices for c in a.choices if a.dest != "compile"
    }
    assert not ({*options, *fields, *choices, *LOSSES, *AUXILIARY} - documented)
