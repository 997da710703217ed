"""``ctc_conf: {blank_bias: ...}`` reaches the model, and nothing else changes."""

from pathlib import Path

import pytest
import torch
import yaml
from espnet2.asr.ctc import CTC
from espnet2.tasks.asr import ASRTask

import espnet_robust
from espnet_robust.common.errors import ConfigError
from espnet_robust.plugin.ctc import BlankBiasCTC, add_blank_bias

espnet_robust.register()
TOKENS = ["<blank>", "<unk>", "A", "B", "<sos/eos>"]


def model(folder: Path, conf: dict) -> torch.nn.Module:
    (folder / "tokens.txt").write_text("\n".join(TOKENS) + "\n")
    config = {
        "token_list": str(folder / "tokens.txt"), "token_type": "char", "input_size": 4,
        "frontend": None, "specaug": None, "encoder": "blstm",
        "encoder_conf": {"num_layers": 1, "hidden_size": 4, "output_size": 4, "subsample": [1]},
        "decoder": None, "model_conf": {"ctc_weight": 1.0}, "normalize": None, "ctc_conf": conf,
    }  # fmt: skip
    (folder / "train.yaml").write_text(yaml.safe_dump(config))
    args = ASRTask.get_parser().parse_args(
        ["--config", str(folder / "train.yaml"), "--output_dir", str(folder)]
    )
    torch.manual_seed(0)
    return ASRTask.build_model(args)


def test_the_option_reaches_the_models_blank_and_nothing_else(tmp_path):
    with_bias, without = model(tmp_path, {"blank_bias": 6}), model(tmp_path, {})
    assert type(with_bias.ctc) is BlankBiasCTC
    difference = {
        name: (value - without.state_dict()[name]).flatten()
        for name, value in with_bias.state_dict().items()
    }
    torch.testing.assert_close(difference.pop("ctc.ctc_lo.bias"), torch.tensor([6.0, 0, 0, 0, 0]))
    assert not any(value.any() for value in difference.values())


def test_other_configurations_are_as_without_us():
    default = ASRTask.get_default_config()["ctc_conf"]
    assert "blank_bias" not in default and "dropout_rate" in default
    CTC(5, 4, **default)


def test_of_other_modules_nothing_changes():
    module = type("Module", (), {"CTC": "theirs"})
    add_blank_bias(module)
    assert module.CTC == "theirs"


def test_a_bias_that_is_no_number(tmp_path):
    with pytest.raises(ConfigError, match="ctc_conf: blank_bias: '6': need a number"):
        model(tmp_path, {"blank_bias": "6"})
