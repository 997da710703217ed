"""Options that a training does not have are refused; shipped configurations do not load ESPnet."""

from pathlib import Path

import pytest

from espnet_robust.bin.check_recipe import options_of
from espnet_robust.common.errors import ConfigError
from espnet_robust.common.experiment import CHECKOUT, CONF, Recipe, resolve
from espnet_robust.recipe.keys import check_keys

RECIPES = [path.parent for path in sorted((CHECKOUT / "egs").glob("*/*/run.sh"))]
SYSTEMS = sorted(path.stem for path in (CONF / "distill").glob("*.yaml"))


def not_loaded(task):
    pytest.fail("ESPnet was loaded")


@pytest.fixture(scope="module")
def mini():
    return Recipe(CHECKOUT / "egs/mini/asr1")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: "/".join(path.parts[-2:]))
def test_shipped_configurations_load_nothing(recipe):
    assert len(SYSTEMS) > 5
    for system in SYSTEMS:
        check_keys("distill", resolve("distill", system, Recipe(recipe), "full"), "", not_loaded)
    task, classifiers = ("asr", [""]) if "asr" in recipe.name else ("cls", ["linear", "blstm"])
    for mixture in ("", "train"):
        for classifier in classifiers:
            for system in ("cdm1", "teacher", "logmel"):
                own = Recipe(recipe, asr_distortion=mixture)
                config = resolve(task, system, own, "full", classifier=classifier)
                check_keys(task, config, "", not_loaded)


def test_fine_tuning_loads_nothing():
    own = Recipe(CHECKOUT / "egs/mini/asr1", task_config=CONF / "asr/fine_tune.yaml")
    check_keys("asr", resolve("asr", "cdm1", own, "tiny"), "", not_loaded)


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("asr", {"encoder_conf": {"num_layer": 3}}, "blstm has no option 'num_layer', did"),
        ("asr", {"max_epok": 3}, "max_epok: no such option, did you mean 'max_epoch'"),
        ("asr", {"encoder": "conformr"}, "there is no 'conformr', did you mean 'conformer'"),
        ("asr", {"encoder": "BLSTM"}, "encoder: there is no 'BLSTM'"),
        ("asr", {"encoder": "conformer", "encoder_conf": {"num_layers": 3}},
         "encoder_conf: conformer has no option 'num_layers'"),
        ("asr", {"optim": "sgd", "optim_conf": {"betas": [0.9, 0.99]}},
         "optim_conf: sgd has no option 'betas'"),
        ("cls", {"decoder_conf": {"poling": "mean"}}, "linear has no option 'poling'"),
        ("distill", {"batch_bins": "none"}, "batch_bins: must be a whole number of at least 1"),
        ("asr", {"batch_bins": 1e6}, "batch_bins: must be a whole number of at least 1"),
        ("cls", {"encoder": "blstm", "encoder_conf": {"num_blocks": 3}},
         "encoder_conf: blstm has no option 'num_blocks'"),
        ("distill", {"maping": "setup1"}, "maping: no such option, did you mean 'mapping'"),
        ("distill", {"scheduler": "warmup"}, "there is no 'warmup', did you mean 'warmuplr'"),
    ],
)  # fmt: skip
def test_what_a_training_does_not_have(mini, task, options, message):
    config = resolve(task, "cdm1", mini, "tiny", options)
    with pytest.raises(ConfigError, match=message) as refusal:
        check_keys(task, config, "here", options_of)
    assert str(refusal.value).startswith("here: ") and "\n" not in str(refusal.value)


def test_what_log_mel_features_have_not():
    own = Recipe(CHECKOUT / "egs/mini/asr1", task_config=CONF / "asr/fine_tune.yaml")
    with pytest.raises(ConfigError, match="frontend_conf: default has no option 'freeze'"):
        check_keys("asr", resolve("asr", "logmel", own, "tiny"), "", options_of)


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("asr", {"encoder": "conformer", "encoder_conf": {"num_blocks": 3}}),
        ("asr", {"encoder": "conformer"}),
        ("asr", {"ctc_conf": {"blank_bias": 6.0}, "specaug": None, "use_wandb": True}),
        ("asr", {"preprocessor_conf": {"speech_name": "speech"}}),
        ("asr", {"scheduler": None, "optim": "sgd", "optim_conf": {"momentum": 0.9}}),
        ("asr", {"frontend_conf": {"max_seconds": 3.0}}),
        ("distill", {"student_conf": {"kind": "thin"}, "ema": 0.99}),
    ],
)
def test_what_it_has(mini, task, options):
    check_keys(task, resolve(task, "cdm1", mini, "tiny", options), "", options_of)


def test_mini_systems(mini):
    systems = [path.stem for path in Path(mini.own).glob("*.yaml")]
    assert "cdm1_stream" in systems
    for system in systems:
        check_keys("distill", resolve("distill", system, mini, "tiny"), system, options_of)
        check_keys("asr", resolve("asr", system, mini, "tiny"), system, options_of)
