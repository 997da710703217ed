import copy

import pytest
import torch
from torch import nn
from transformers import AutoModel

from espnet_robust.models.front.front import Front, channels_last, use_front
from espnet_robust.models.front.product import Convolution
from espnet_robust.models.onednn import choice, linear
from espnet_robust.models.row_layers import use_row_layers

KINDS = ["hubert_layer_norm", "hubert_group_norm", "data2vec", "wavlm", "unispeech_sat"]
# As the library pads: what remains of 3,000 to 3,639 samples in each of the seven layers.
LENGTHS = range(3000, 3640, 71)


@pytest.fixture
def models(teacher_dirs, request):
    """The library's model and one with our front, with the same weights."""
    theirs = AutoModel.from_pretrained(teacher_dirs[request.param]).train()
    with torch.no_grad():
        for name, weight in theirs.feature_extractor.named_parameters():
            if "layer_norm" in name:
                nn.init.normal_(weight)
    ours = copy.deepcopy(theirs)
    use_front(ours)
    return theirs, ours


@pytest.mark.parametrize("activation", [None, nn.ReLU()], ids=["own", "relu"])
@pytest.mark.parametrize("models", KINDS, indirect=True)
def test_values_and_gradients_are_the_librarys(models, activation):
    theirs, ours = (model.feature_extractor for model in models)
    assert isinstance(ours, Front) and not isinstance(theirs, Front)
    for layer in (*theirs.conv_layers, *ours.conv_layers):
        layer.activation = activation or layer.activation
    for length in LENGTHS:
        wav = 0.3 + torch.randn(2, length)
        weight = torch.randn_like(theirs(wav))
        for extractor in (theirs, ours):
            (extractor(wav) * weight).sum().backward()
        torch.testing.assert_close(ours(wav), theirs(wav), atol=1e-5, rtol=1e-4)
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        scale = gradients[name].grad.abs().max()
        torch.testing.assert_close(
            parameter.grad / scale, gradients[name].grad / scale, atol=1e-4, rtol=0, msg=name
        )


@pytest.mark.parametrize("models", ["hubert_group_norm"], indirect=True)
def test_a_row_counts_its_own_frames(models):
    theirs, ours = (model.feature_extractor for model in map(use_row_layers, models))
    wav = torch.randn(2, 3000)
    frames = torch.tensor([400, 250])
    for extractor in (theirs, ours):
        extractor.conv_layers[0].layer_norm.frames = frames
    torch.testing.assert_close(ours(wav)[1, :, :3], theirs(wav)[1, :, :3], atol=1e-5, rtol=1e-4)
    ours.conv_layers[0].layer_norm.frames = None
    assert not torch.allclose(ours(wav)[1, :, :3], theirs(wav)[1, :, :3], atol=1e-2)


@pytest.mark.parametrize("models", ["hubert_group_norm"], indirect=True)
def test_a_channel_that_hears_little_of_a_loud_signal(models):
    """Its variance is a small difference of large numbers."""
    theirs, ours = (model.feature_extractor for model in models)
    time = torch.arange(4000) / 16000
    wav = (3 + torch.sin(2 * torch.pi * 50 * time) + 1e-4 * torch.randn(4000))[None]
    exact = copy.deepcopy(theirs).double()
    for extractor in (theirs, ours, exact):
        high = torch.tensor([1.0, -4, 6, -4, 1, 0, 0, 0, 0, 0])
        extractor.conv_layers[0].conv.weight.data[:] = high
    want = exact(wav.double()).float()
    # Samples of 4 times weights that add up to 16, times a norm's scale of 300: each product rounds
    # by up to 6e-8 of that, and how they cancel depends on the CPU. Moments of float32 are 0.1 off.
    error, theirs_error = ((x(wav) - want).abs().max() for x in (ours, theirs))
    assert error < 1e-3 and theirs_error < 1e-3


@pytest.mark.parametrize("models", KINDS, indirect=True)
def test_checkpoints_fit_both(models):
    theirs, ours = models
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (5, 2), (3, 2), (2, 2), (5, 5), (2, 3)])
def test_a_convolution_by_products(kernel, stride, bias):
    torch.manual_seed(0)
    conv = nn.Conv1d(2, 3, kernel, stride=stride, bias=bias).double()
    x = torch.randn(2, 2, 6 * stride, dtype=torch.float64, requires_grad=True)
    count = conv(x).shape[2]

    def ours(x, weight, bias=None):
        rows = Convolution.apply(x.transpose(1, 2).contiguous(), weight, bias, stride)
        return rows[:, :count].transpose(1, 2)

    def on_a_gpu(x, weight, bias=None):
        return channels_last(x.transpose(1, 2), weight, bias, stride).transpose(1, 2)

    torch.testing.assert_close(ours(x, *conv.parameters()), conv(x))
    torch.testing.assert_close(on_a_gpu(x, *conv.parameters()), conv(x))
    torch.autograd.gradcheck(on_a_gpu, (x, *conv.parameters()))
    torch.autograd.gradcheck(ours, (x, *conv.parameters()))


@pytest.mark.skipif(not linear.AVAILABLE, reason="torch without oneDNN and MKL")
@pytest.mark.parametrize("models", ["hubert_layer_norm"], indirect=True)
def test_onednn_gets_rows_or_columns(models, monkeypatch):
    """Of a matrix whose neighbours lie apart in both directions it takes 500 times as long."""
    strides, product = [], linear._product

    def recorded(x, weight, *rest):
        strides.extend([x.stride(), weight.stride()])
        return product(x, weight, *rest)

    monkeypatch.setattr(choice, "_current", choice.Choice(choice.ONEDNN, "to be tested"))
    monkeypatch.setattr(linear, "_product", recorded)
    ours = models[1].feature_extractor
    ours(torch.randn(2, 3100)).sum().backward()
    assert strides and all(1 in each for each in strides)


@pytest.mark.parametrize("models", ["hubert_layer_norm", "hubert_group_norm"], indirect=True)
def test_autocast_reaches_the_convolution(models, batch):
    theirs, ours = (model.feature_extractor for model in models)
    with torch.autocast("cpu", torch.bfloat16):
        low = ours(batch[0])
    assert low.dtype == torch.bfloat16
    low.float().sum().backward()
    assert ours.conv_layers[0].conv.weight.grad.dtype == torch.float32
    exact = theirs(batch[0])
    assert (low.float() - exact).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize("models", ["hubert_group_norm"], indirect=True)
def test_what_is_exported_is_the_librarys(models):
    theirs, ours = (model.feature_extractor.eval() for model in models)
    wav = torch.randn(1, 3100)
    traced = torch.jit.trace(ours, wav)
    assert "aten::_convolution" in str(traced.inlined_graph)
    torch.testing.assert_close(traced(wav), theirs(wav), atol=1e-5, rtol=1e-4)


def test_other_front_ends_stay():
    class Model(nn.Module):
        def __init__(self, conv, norm):
            super().__init__()
            layer = nn.Module()
            layer.conv, layer.layer_norm, layer.activation = conv, norm, nn.GELU()
            self.feature_extractor = nn.Module()
            self.feature_extractor.conv_layers = nn.ModuleList([layer])

    for conv, norm, known in [
        (nn.Conv1d(1, 4, 10, 5), nn.GroupNorm(4, 4), True),
        (nn.Conv1d(1, 4, 10, 5), nn.GroupNorm(2, 4), False),
        (nn.Conv1d(1, 4, 10, 5), nn.BatchNorm1d(4), False),
        (nn.Conv1d(1, 4, 10, 5, padding=2), nn.GroupNorm(4, 4), False),
        (nn.Conv1d(2, 4, 10, 5), nn.GroupNorm(4, 4), False),
    ]:
        model = Model(conv, norm)
        use_front(model)
        assert isinstance(model.feature_extractor, Front) == known
