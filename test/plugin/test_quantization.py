"""ESPnet's quantised inference: our layers become torch's, and still compute what they did."""

import pytest
import torch
from torch import nn

from espnet_robust.models.onednn.linear import Linear
from espnet_robust.plugin.blstm import BLSTMEncoder
from espnet_robust.plugin.frontend import RobustFrontend
from espnet_robust.plugin.registration import register


@pytest.fixture(autouse=True)
def registered():
    register(("asr",))


def counts(model: nn.Module) -> tuple[int, int]:
    """(float, quantised) layers."""
    linear = [module for module in model.modules() if type(module).__name__ == "Linear"]
    quantised = sum("quantized" in type(module).__module__ for module in linear)
    return len(linear) - quantised, quantised


@pytest.mark.parametrize(
    ("kind", "left"), [("hubert_layer_norm", 0), ("wav2vec2", 0), ("w2v_bert", 0), ("wavlm", 20)]
)
def test_every_linear_layer_is_quantised(teacher_dirs, batch, kind, left):
    frontend = RobustFrontend(student={"hf": str(teacher_dirs[kind])}).eval()
    before, _ = counts(frontend)
    quantised = torch.quantization.quantize_dynamic(frontend, {nn.Linear}, dtype=torch.qint8)
    with torch.no_grad():
        expected, found = frontend(*batch)[0], quantised(*batch)[0]
    assert before > 20 and counts(quantised) == (left, before - left)
    assert counts(frontend) == (before, 0)
    assert all(type(m) is Linear for m in frontend.modules() if isinstance(m, nn.Linear))
    assert (found - expected).norm() / expected.norm() < 0.1


@pytest.mark.parametrize("kinds", [{nn.LSTM}, {nn.Linear}, {nn.LSTM, nn.Linear}])
def test_blstm(kinds):
    torch.manual_seed(0)
    encoder = BLSTMEncoder(4, 6, 5, num_layers=2, subsample=[2, 1]).eval()
    frames, lengths = torch.randn(3, 11, 4), torch.tensor([11, 8, 1])
    quantised = torch.quantization.quantize_dynamic(encoder, kinds, dtype=torch.qint8)
    with torch.no_grad():
        expected, found = (model(frames, lengths)[0] for model in (encoder, quantised))
    assert not torch.equal(found, expected)
    assert (found - expected).norm() / expected.norm() < 0.1
