import copy

import pytest
import torch
from transformers import AutoModel

from espnet_robust.models.onednn.convolution import ConvLayer, use_fast_layers

KINDS = ["hubert_layer_norm", "hubert_group_norm", "data2vec", "wavlm", "unispeech_sat"]


@pytest.fixture
def extractors(teacher_dirs, request):
    """The library's feature encoder and ours, with the same weights."""
    theirs = AutoModel.from_pretrained(teacher_dirs[request.param]).feature_extractor.train()
    ours = copy.deepcopy(theirs)
    use_fast_layers(ours)
    return theirs, ours


@pytest.mark.parametrize("extractors", KINDS, indirect=True)
def test_values_and_gradients_are_the_librarys(extractors, batch):
    theirs, ours = extractors
    # With group norm the library's stay.
    layer_norm = hasattr(theirs.conv_layers[-1], "layer_norm")
    assert all(isinstance(layer, ConvLayer) == layer_norm for layer in ours.conv_layers)
    weight = torch.randn(16, 24)
    for extractor in extractors:
        (extractor(batch[0]) * weight).sum().backward()
    torch.testing.assert_close(ours(batch[0]), theirs(batch[0]), atol=1e-5, rtol=1e-4)
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        scale = gradients[name].grad.abs().max()
        torch.testing.assert_close(
            parameter.grad / scale, gradients[name].grad / scale, atol=1e-4, rtol=0, msg=name
        )


@pytest.mark.parametrize("extractors", ["hubert_layer_norm"], indirect=True)
def test_checkpoints_fit_both(extractors):
    theirs, ours = extractors
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("stride", [1, 2, 5])
def test_gradients_by_finite_differences(bias, stride):
    layer = torch.nn.Module()
    layer.conv = torch.nn.Conv1d(2, 3, 5, stride=stride, bias=bias).double()
    layer.activation = torch.nn.Tanh()
    x = torch.randn(2, 2, 17, dtype=torch.float64, requires_grad=True)
    ours = ConvLayer(layer)
    torch.testing.assert_close(ours(x), layer.conv(x).tanh())
    parameters = [x, *layer.conv.parameters()]
    torch.autograd.gradcheck(lambda x, *_: ours(x), parameters)


@pytest.mark.parametrize("extractors", ["hubert_layer_norm"], indirect=True)
def test_autocast_reaches_the_convolution(extractors, batch):
    theirs, ours = extractors
    with torch.autocast("cpu", torch.bfloat16):
        low = ours(batch[0])
    assert low.dtype == torch.bfloat16
    low.float().sum().backward()
    assert ours.conv_layers[0].conv.weight.grad.dtype == torch.float32
    torch.testing.assert_close(low.float(), theirs(batch[0]), atol=0.1, rtol=0.1)
