"""Configurations of ESPnet's other frontends; plugin/README.md on what changes."""

import argparse
import logging
import re

import pytest
import torch
import yaml
from espnet2.tasks.asr import ASRTask
from torch import nn

from espnet_robust.common.errors import ConfigError
from espnet_robust.plugin.familiar import check_freeze_param
from espnet_robust.plugin.frontend import RobustFrontend
from espnet_robust.plugin.registration import register


def frontend(student_dir, **conf) -> RobustFrontend:
    return RobustFrontend(student={"path": str(student_dir)}, **conf)


@pytest.mark.parametrize(
    ("conf", "layers"),
    [
        ({"multilayer_feature": True}, [0, 1, 2]),
        ({"multilayer_feature": True, "layer": -1}, [0, 1, 2]),
        ({"multilayer_feature": False}, [2]),
        ({"layer": 1}, [1]),
        ({"layer": 1, "multilayer_feature": False}, [1]),
        ({"layer": -1}, [0, 1, 2]),  # says nothing: ours
        ({"layers": -1}, [2]),
        ({"layers": [0, -1]}, [0, 2]),
        ({"layers": [2, -1, 1]}, [1, 2]),
    ],
)
def test_layers(student_dir, conf, layers):
    found = frontend(student_dir, **conf)
    assert found.layers == layers
    assert len(found.layer_weights) == len(layers)


def test_a_list_of_layers_is_their_weighted_sum(student_dir):
    wav, lengths = torch.randn(1, 4000) / 10, torch.tensor([4000])
    both, *single = (frontend(student_dir, layers=n) for n in ([0, 2], 0, 2))
    with torch.no_grad():
        first, last = (one(wav, lengths)[0] for one in single)
        torch.testing.assert_close(both(wav, lengths)[0], (first + last) / 2)


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"layers": []}, "layers: [] is not weighted_sum, last, a number in -3..2 or a list of"),
        ({"layers": -4}, "layers: -4 is not weighted_sum"),
        ({"layers": [0, 3]}, "layers: [0, 3] is not weighted_sum"),
        ({"layers": True}, "layers: True is not weighted_sum"),
        ({"layer": 7}, "layers: 7 is not weighted_sum"),
        ({"layer": 1, "multilayer_feature": True}, "exclude each other; write `layers: weighted_"),
        ({"layer": 1, "layers": "last"}, "layers: 'last' contradicts multilayer_feature or layer"),
        ({"upstream": "wavlm_large"}, "upstream: write `student: {hf: microsoft/wavlm-large}`"),
        ({"model": "facebook/mms-300m"}, "model: write `student: {hf: facebook/mms-300m}`"),
        ({"frontend_conf": {"upstream": "my_own"}},
         "upstream: write `student: {hf: HUB_ID_OR_DIR}`"),
        ({"download_dir": "./hub"}, "download_dir: models are in Hugging Face's cache"),
        ({"n_fft": 512, "hop_length": 160},
         "n_fft: is for log-mel features; remove it; hop_length: is for log-mel features"),
        ({"freezed": True}, "freezed: unknown key, did you mean freeze?"),
        ({"zzz": 1}, "zzz: unknown; known: fs, student, layers"),
    ],
)  # fmt: skip
def test_other_keys_are_answered_in_one_line(student_dir, conf, message):
    with pytest.raises(ConfigError) as e:
        frontend(student_dir, **conf)
    assert str(e.value).startswith("frontend_conf: ") and message in str(e.value)
    assert "\n" not in str(e.value)


@pytest.fixture
def model(student_dir):
    model = nn.Module()
    model.frontend = frontend(student_dir)
    model.encoder = nn.Linear(2, 2)
    return model


def check(model, *given, freeze=True):
    check_freeze_param(argparse.Namespace(freeze_param=list(given)), model, freeze)


def test_freeze_param_of_s3prl_is_what_freeze_does(model, caplog):
    with caplog.at_level(logging.WARNING):
        check(model, "frontend.upstream", "encoder", "frontend.speech_model.encoder", "decoder")
    assert [r.message for r in caplog.records] == [
        "freeze_param: frontend.upstream is frontend.speech_model here, frozen by `freeze: true`"
    ]


@pytest.mark.parametrize(
    ("given", "freeze"),
    [("frontend.upstream", False), ("frontend.upstreams", True), ("frontend.encoder", True)],
)
def test_freeze_param_that_freezes_nothing(model, given, freeze):
    with pytest.raises(ConfigError, match=f"frontend robust_student has no {given}"):
        check(model, given, freeze=freeze)


def test_trainings_look_at_it(model):
    register()
    args = argparse.Namespace(freeze_param=["frontend.upstreams"])
    with pytest.raises(ConfigError, match="frontend robust_student has no frontend.upstreams"):
        ASRTask.build_optimizers(args, model)


def test_readme_shows_what_changes(root, student_dir):
    """Each row: keys of another frontend work as the row says, or the answer says it."""
    readme = (root / "espnet_robust/plugin/README.md").read_text()
    section = readme.split("From the s3prl or huggingface frontend:")[1].split("\n\n")[1]
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \|$", section, re.MULTILINE)
    assert len(rows) >= 6
    for theirs, ours in rows:
        given = yaml.safe_load("{" + theirs + "}")
        given.pop("frontend", None)
        if "freeze_param" in given or not given:
            continue  # beside frontend_conf
        (wanted,) = re.findall(r"`(.+?)`", ours)[:1] or ["remove it"]
        try:
            found = frontend(student_dir, **given)
        except ConfigError as e:
            assert wanted in str(e), theirs
        else:
            same = frontend(student_dir, **yaml.safe_load("{" + wanted + "}"))
            assert found.layers == same.layers
