"""What the CPU computes, a GPU computes too: decoding is in test_asr.py, the rest is here.

Convolutions without TF32, which cuDNN would use: bounds are those of float32.
"""

import copy

import pytest
import torch

from espnet_robust.distill.adversary import Adversary
from espnet_robust.distill.cache import TargetCache
from espnet_robust.distill.domains import AdversaryConfig
from espnet_robust.distill.model import DistillModel
from espnet_robust.distill.targets import Targets
from espnet_robust.models.speech_model import load_teacher
from espnet_robust.models.student import StudentConfig, build_student
from espnet_robust.plugin.blstm import BLSTMEncoder
from espnet_robust.plugin.frontend import RobustFrontend

pytestmark = pytest.mark.gpu
TOLERANCE = {"rtol": 1e-3, "atol": 1e-4}


@pytest.fixture(autouse=True)
def no_tf32(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def make_model(teacher, cache=None, **options) -> DistillModel:
    torch.manual_seed(0)
    student = build_student(teacher, StudentConfig()).eval()  # no dropout
    adversary = Adversary(student.hidden_size, student.num_layers, 2, AdversaryConfig(ramp=0))
    targets = Targets([teacher], [2, 4], cache=cache)
    return DistillModel(targets, student, {"l1": 1.0, "cosine": 1.0}, adversary, **options)


def loss_and_gradients(model, batch, device):
    model = model.to(device)
    wav, lengths = (x.to(device) for x in batch)
    domain = torch.tensor([[0], [1], [1]], device=device)
    loss, _, _ = model(wav, lengths, wav, lengths, domain)
    loss.backward()
    trained = {name: p for name, p in model.named_parameters() if p.grad is not None}
    return loss.detach().cpu(), {name: p.grad.cpu() for name, p in trained.items()}


@pytest.mark.parametrize("kind", ["hubert_layer_norm", "hubert_group_norm", "wavlm", "data2vec"])
def test_a_step_of_distillation(teacher_dirs, batch, kind):
    model = make_model(load_teacher(teacher_dirs[kind], [2, 4]))
    there = copy.deepcopy(model)
    loss, gradients = loss_and_gradients(model, batch, "cpu")
    found, found_gradients = loss_and_gradients(there, batch, "cuda")
    torch.testing.assert_close(found, loss, **TOLERANCE)
    assert gradients.keys() == found_gradients.keys() and gradients
    for name, expected in gradients.items():
        torch.testing.assert_close(found_gradients[name], expected, **TOLERANCE)


def test_a_step_in_bf16(teacher, batch):
    full, _ = loss_and_gradients(make_model(teacher), batch, "cuda")
    half, gradients = loss_and_gradients(make_model(teacher, amp=torch.bfloat16), batch, "cuda")
    assert torch.isclose(half, full, rtol=0.05)
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_cached_targets_come_back_to_the_gpu(teacher, batch, tmp_path):
    model = make_model(teacher, TargetCache(tmp_path, "teacher"))
    first, _ = loss_and_gradients(model, batch, "cuda")
    again, _ = loss_and_gradients(model, batch, "cuda")
    torch.testing.assert_close(first, again)
    assert len([*tmp_path.rglob("*.safetensors")]) == 3


@pytest.mark.parametrize("cache_gb", [0, 1])
def test_features(student_dir, batch, cache_gb):
    frontend = RobustFrontend(student={"path": str(student_dir)}, cache_gb=cache_gb)
    expected, lengths = frontend(*batch)
    there = copy.deepcopy(frontend).to("cuda")
    for _ in range(2):  # computed, then out of the cache
        found, found_lengths = there(*(x.to("cuda") for x in batch))
        torch.testing.assert_close(found.cpu(), expected, **TOLERANCE)
        assert torch.equal(found_lengths.cpu(), lengths)


def test_blstm():
    torch.manual_seed(0)
    encoder = BLSTMEncoder(4, output_size=6, hidden_size=5, num_layers=2, subsample=[2, 1])
    x, lengths = torch.randn(3, 11, 4), torch.tensor([11, 8, 1])
    expected, frames, _ = encoder(x, lengths)
    found, found_frames, _ = encoder.to("cuda")(x.to("cuda"), lengths.to("cuda"))
    torch.testing.assert_close(found.cpu(), expected, **TOLERANCE)
    assert torch.equal(found_frames.cpu(), frames)
