"""What ``null`` and ESPnet's ``none`` do in the configuration of a training."""

from pathlib import Path

import pytest

from espnet_robust.common.errors import ConfigError
from espnet_robust.common.experiment import Recipe, resolve

MINI = Recipe(Path(__file__).parents[2] / "egs/mini/asr1")


def test_null_turns_off_what_a_layer_below_turns_on():
    asr = resolve("asr", "cdm1", MINI, "short", {"normalize": None, "specaug": None})
    assert asr["normalize"] is None and asr["specaug"] is None and "specaug_conf" not in asr
    assert resolve("distill", "cdm2_dat", MINI, "short", {"dat": None})["dat"] is None
    with pytest.raises(ConfigError, match="cdm1: no teacher; name a hub id or a local"):
        resolve("distill", "cdm1", MINI, "short", {"teacher": None})


def test_null_for_a_mapping_or_a_list_is_an_empty_one():
    nulls = {"erase": None, "optim_conf": None, "freeze_param": None, "init_param": None}
    config = resolve("distill", "cdm2_erased", MINI, "short", nulls)
    assert {key: config[key] for key in nulls} == {
        "erase": {}, "optim_conf": {}, "freeze_param": [], "init_param": [],
    }  # fmt: skip


@pytest.mark.parametrize("nothing", [None, "none", "Null"])
def test_epochs_of_the_whole_corpus(nothing):
    """ESPnet's parser takes all of these spellings."""
    given = {"num_iters_per_epoch": nothing}
    with pytest.raises(ConfigError, match="cdm1 with budget short: without num_iters_per_epoch"):
        resolve("distill", "cdm1", MINI, "short", given)
    steps = given | {"scheduler_conf": {"total_steps": 9}}
    config = resolve("distill", "cdm1", MINI, "short", steps)
    assert config["num_iters_per_epoch"] is None and config["scheduler_conf"]["total_steps"] == 9
    assert config["scheduler_conf"]["max_lr"] == config["optim_conf"]["lr"]
    other = resolve("distill", "cdm1", MINI, "short", given | {"scheduler": "warmuplr"})
    assert other["num_iters_per_epoch"] is None and "scheduler_conf" not in other


@pytest.mark.parametrize("number", [0, "many", 2.5])
@pytest.mark.parametrize("key", ["max_epoch", "num_iters_per_epoch", "accum_grad"])
def test_numbers_that_make_no_schedule(key, number):
    with pytest.raises(ConfigError, match=f"short: {key}: need a whole number of at least 1, got"):
        resolve("distill", "cdm1", MINI, "short", {key: number})
