"""ESPnet's LoRA within a frozen model: it trains, nothing else does, and it reloads."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml
from espnet2.bin import asr_train
from espnet2.layers.create_adapter import create_adapter
from espnet2.tasks import abs_task
from espnet2.tasks.asr import ASRTask
from torch import nn

from espnet_robust.common.errors import ConfigError, ModelError
from espnet_robust.plugin.adapters import adapters
from espnet_robust.plugin.frontend import RobustFrontend
from espnet_robust.plugin.registration import register

LORA = {"rank": 2, "alpha": 4, "dropout_rate": 0.5, "target_modules": ["q_proj", "v_proj"]}
LENGTHS = torch.tensor([4000, 3000])


@pytest.fixture(scope="module", autouse=True)
def registered():
    register()


def wav():
    return torch.randn(2, 4000, generator=torch.Generator().manual_seed(0)) / 10


class Model(nn.Module):
    """A frontend in a model, as ESPnet adapts it."""

    def __init__(self, student_dir, adapted=True, **conf):
        super().__init__()
        self.frontend = RobustFrontend(student={"path": str(student_dir)}, **conf)
        if adapted:
            create_adapter(self, "lora", LORA)


def test_only_adapters_train(student_dir):
    model = Model(student_dir).train()
    features, _ = model.frontend(wav(), LENGTHS)
    features.square().sum().backward()
    trained = {n for n, p in model.named_parameters() if p.grad is not None}
    assert trained == {n for n, _ in model.named_parameters() if "lora_" in n} | {
        "frontend.layer_weights"
    }
    changed = [p for n, p in model.named_parameters() if "lora_B" in n]
    assert len(changed) == 4 and all(p.grad.abs().max() > 0 for p in changed)


def test_nothing_but_adapters_drops(student_dir):
    model = Model(student_dir).train()
    speech_model = model.frontend.speech_model
    training = [m for m in speech_model.modules() if m.training]
    assert training and all(
        any(m is x for a in adapters(speech_model) for x in a.modules()) for m in training
    )
    model.eval()
    assert not any(m.training for m in speech_model.modules())


def test_an_untrained_adapter_changes_nothing(student_dir):
    adapted, plain = Model(student_dir), Model(student_dir, adapted=False)
    for mode in (True, False):  # unmerged and merged
        outs = [m.train(mode).frontend(wav(), LENGTHS)[0] for m in (adapted, plain)]
        torch.testing.assert_close(*outs)


@pytest.mark.parametrize("kind", ["wavlm", "wavlm_large"])
def test_in_wavlm_only_layers_that_it_calls_are_taken(teacher_dirs, kind):
    def model():
        model = nn.Module()
        model.frontend = RobustFrontend(student={"hf": str(teacher_dirs[kind])})
        return model

    for target in ("q_proj", "encoder.layers.1.attention.v_proj", "out_proj"):
        with pytest.raises(ConfigError, match=r"calls \w+_proj, so .*\[intermediate_dense, "):
            abs_task.create_adapter(model(), "lora", LORA | {"target_modules": [target]})
    adapted = model()
    named = LORA | {"target_modules": ["intermediate_dense", "output_dense"]}
    abs_task.create_adapter(adapted, "lora", named)
    adapted.train().frontend(wav(), LENGTHS)[0].square().sum().backward()
    changed = [p for n, p in adapted.named_parameters() if "lora_B" in n]
    assert len(changed) == 8 and all(p.grad.abs().max() > 0 for p in changed)


def test_cache_does_not_go_with_an_adapter(student_dir):
    model = Model(student_dir, cache_gb=0.1)
    with pytest.raises(ConfigError, match="cache_gb: an adapter changes the features"):
        model.frontend(wav(), LENGTHS)


def train(out: Path, data: Path, student: Path, **more) -> Path:
    """Two epochs of ``espnet2.bin.asr_train`` with LoRA."""
    config = {
        "token_type": "char", "token_list": ["<blank>", "<unk>", "A", "B", "<sos/eos>"],
        "frontend": "robust_student", "frontend_conf": {"student": {"path": str(student)}},
        "freeze_param": ["frontend.upstream"],
        "encoder": "blstm", "encoder_conf": {"num_layers": 1, "subsample": [1], "output_size": 8},
        "model_conf": {"ctc_weight": 1.0}, "use_adapter": True, "adapter": "lora",
        "adapter_conf": LORA, "optim": "adamw", "optim_conf": {"lr": 0.02},
        "batch_type": "sorted", "batch_size": 2, "max_epoch": 2,
        "num_workers": 0, "use_tensorboard": False, "num_att_plot": 0,
    } | more  # fmt: skip
    out.mkdir(exist_ok=True)
    (out / "train.yaml").write_text(yaml.safe_dump(config))
    given = ["--config", out / "train.yaml", "--output_dir", out / "exp"]
    for split in ("train", "valid"):
        given += [f"--{split}_shape_file", data / "shape"]
        for row in (f"{data}/wav.scp,speech,sound", f"{data}/text,text,text"):
            given += [f"--{split}_data_path_and_name_and_type", row]
    asr_train.main([str(option) for option in given])
    return out / "exp"


def features(exp: Path) -> torch.Tensor:
    """Of the model as inference reads it."""
    model, _ = ASRTask.build_model_from_file(exp / "config.yaml", exp / "2epoch.pth", "cpu")
    with torch.no_grad():
        return model.eval().frontend(wav(), LENGTHS)[0]


def test_trains_resumes_and_reloads(speech_and_text, student_dir, tmp_path):
    student = tmp_path / "student"
    shutil.copytree(student_dir, student)
    exp = train(tmp_path / "straight", speech_and_text, student)
    train(tmp_path / "resumed", speech_and_text, student, max_epoch=1)
    resumed = train(tmp_path / "resumed", speech_and_text, student, resume=True)
    saved = torch.load(exp / "2epoch.pth")
    lora = [key for key in saved if "lora_B" in key]
    assert len(lora) == 4 and all(saved[key].abs().max() > 0 for key in lora)
    shutil.rmtree(student)
    found = features(exp)
    torch.testing.assert_close(features(resumed), found, atol=1e-4, rtol=1e-4)
    plain = Model(student_dir, adapted=False).eval().frontend
    plain.layer_weights.data.copy_(saved["frontend.layer_weights"])
    assert (plain(wav(), LENGTHS)[0] - found).abs().max() > 1e-3


def test_what_was_left_out_is_read_from_where_it_came(speech_and_text, student_dir, tmp_path):
    student = tmp_path / "student"
    shutil.copytree(student_dir, student)
    expected = features(train(tmp_path / "all", speech_and_text, student))
    few = {"save_strategy": "required_grad_only"}
    exp = train(tmp_path / "few", speech_and_text, student, **few)
    assert not [k for k in torch.load(exp / "2epoch.pth") if k.endswith("q_proj.weight")]
    torch.testing.assert_close(features(exp), expected)
    train(tmp_path / "resumed", speech_and_text, student, max_epoch=1, **few)
    resumed = train(tmp_path / "resumed", speech_and_text, student, resume=True, **few)
    torch.testing.assert_close(features(resumed), expected, atol=1e-4, rtol=1e-4)
    shutil.rmtree(student)
    with pytest.raises(ModelError, match="lacks the frozen model, and .*no such student.*save_str"):
        features(exp)


@pytest.mark.parametrize(
    ("layers", "message"),
    [("weighted_sum", "layer_weights, which was trained"), ("last", "layer_weights, which was")],
)
def test_a_checkpoint_of_adapters_only_is_refused(
    speech_and_text, student_dir, tmp_path, layers, message
):
    """It lacks the recogniser too."""
    conf = {"student": {"path": str(student_dir)}, "layers": layers}
    more = {"save_strategy": "adapter_only", "frontend_conf": conf}
    exp = train(tmp_path / "a", speech_and_text, student_dir, **more)
    with pytest.raises(ModelError, match=f"lacks .*{message}.*`save_strategy: all`"):
        features(exp)


def test_a_frozen_encoder_cannot_be_left_out(speech_and_text, student_dir, tmp_path):
    """ESPnet would go on with the encoder as it was drawn."""
    more = {"save_strategy": "required_grad_only", "freeze_param": ["encoder"]}
    exp = train(tmp_path / "a", speech_and_text, student_dir, **more)
    with pytest.raises(ModelError, match="lacks 10 weights of the model, first encoder.lstms"):
        features(exp)
