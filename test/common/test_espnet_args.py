import pytest

from espnet_robust.common.errors import ConfigError
from espnet_robust.common.espnet_args import settings_of


def test_options_as_espnet_takes_them():
    text = "--max_epoch 5 --use_wandb=true --optim_conf lr=1e-3 --optim_conf weight_decay=0"
    assert settings_of("asr_args", text) == {
        "max_epoch": 5, "use_wandb": True, "optim_conf": {"lr": 0.001, "weight_decay": 0},
    }  # fmt: skip
    assert settings_of("asr_args", "") == {}
    assert settings_of("asr_args", "--normalize none --init 'a b'") == {
        "normalize": "none", "init": "a b",
    }  # fmt: skip


def test_nothing_and_a_value_called_none():
    text = "--num_iters_per_epoch null --dat none --grad_noise Null"
    assert settings_of("distill_args", text) == {
        "num_iters_per_epoch": None, "dat": "none", "grad_noise": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5", "--asr_args: '5' belongs to no option; write --NAME VALUE"),
        ("--max_epoch", "--max_epoch needs a value"),
        ("--max_epoch --seed 1", "--max_epoch needs a value"),
        ("--best_model_criterion valid acc max", "'acc' belongs to no option.*and lists as"),
        ("--init 'a", "No closing quotation"),
    ],
)
def test_strings_that_are_no_options(text, message):
    with pytest.raises(ConfigError, match=message):
        settings_of("asr_args", text)
