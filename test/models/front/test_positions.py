import copy

import pytest
import torch
from torch import nn
from transformers import AutoModel

from espnet_robust.models.front.positions import GroupedConv, use_grouped_convolutions


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("normed", [True, False])
def test_values_and_gradients_are_the_librarys(normed, bias):
    torch.manual_seed(0)
    theirs = nn.Conv1d(12, 6, 8, padding=4, groups=3, bias=bias)
    if normed:
        theirs = nn.utils.parametrizations.weight_norm(theirs, dim=2)
    ours = copy.deepcopy(theirs)
    use_grouped_convolutions(ours)
    assert isinstance(ours, GroupedConv) and [*ours.state_dict()] == [*theirs.state_dict()]
    x = torch.randn(2, 20, 12).transpose(1, 2)
    weight = torch.randn(2, 6, 21)
    grads = []
    for conv in (theirs, copy.deepcopy(ours)):
        given = x.clone().requires_grad_()
        out = conv(given)
        (out * weight).sum().backward()
        grads.append([out, given.grad, *(p.grad for p in conv.parameters())])
    for want, got in zip(*grads, strict=True):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["hubert_group_norm", "wavlm", "data2vec"])
def test_those_of_speech_models(teacher_dirs, kind):
    model = AutoModel.from_pretrained(teacher_dirs[kind])
    grouped = [m for m in model.modules() if isinstance(m, nn.Conv1d) and m.groups > 1]
    use_grouped_convolutions(model)
    use_grouped_convolutions(model)  # again: nothing changes
    assert grouped and all(isinstance(m, GroupedConv) for m in grouped)
    assert {id(m) for m in model.modules() if isinstance(m, GroupedConv)} == {*map(id, grouped)}


def test_depthwise_convolutions_stay(teacher_dirs):
    model = AutoModel.from_pretrained(teacher_dirs["w2v_bert"])
    depthwise = [m for m in model.modules() if isinstance(m, nn.Conv1d) and m.groups > 1]
    assert depthwise and all(m.groups == m.in_channels for m in depthwise)
    use_grouped_convolutions(model)
    assert all(type(m) is nn.Conv1d for m in depthwise)
