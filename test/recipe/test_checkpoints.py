"""Which models a training keeps, and whether the one to decode with is one of them."""

import pytest

from espnet_robust.common.errors import ConfigError
from espnet_robust.recipe.checkpoints import best_of, check_kept

BOTH = {"best_model_criterion": [["valid", "cer_ctc", "min"], ["valid", "loss", "min"]]}
CER = {"best_model_criterion": [["valid", "cer_ctc", "min"]]}


def test_the_model_that_a_training_must_leave():
    assert best_of({}, "valid.loss.best.pth") == "valid.loss.best.pth"
    assert best_of(BOTH, "valid.cer_ctc.best.pth") == "valid.cer_ctc.best.pth"
    assert best_of(BOTH, "latest.pth") == "valid.loss.best.pth"
    assert best_of(CER, "valid.loss.best.pth") == "valid.cer_ctc.best.pth"


@pytest.mark.parametrize(
    "name",
    [
        "valid.cer_ctc.best.pth",
        "valid.loss.ave.pth",
        "valid.loss.ave_3best.pth",
        "valid.loss.ave_3best.till20epoch.pth",
        "valid.loss.ave.till9epoch.pth",
        "latest.pth",
        "30epoch.pth",
    ],
)
def test_what_is_kept(name):
    check_kept("", name, BOTH)


@pytest.mark.parametrize("name", ["valid.loss.best.pth", "valid.loss.ave.pth", "nope.pth"])
@pytest.mark.parametrize("form", ["{}", "x/{}", "{}.bak"])
def test_what_is_not(name, form):
    name = form.format(name)
    with pytest.raises(ConfigError, match="best_model_criterion gives valid.cer_ctc.best.pth; x"):
        check_kept("x", name, CER)


@pytest.mark.parametrize("name", ["", "checkpoint.pth", "0epoch.pth", "epoch.pth", "latest_pth"])
def test_no_model_of_a_training(name):
    with pytest.raises(ConfigError, match="would not be kept"):
        check_kept("x", name, BOTH)
