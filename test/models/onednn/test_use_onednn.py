"""The one door to the fast layers."""

import copy

import pytest
import torch
from torch import nn
from transformers import AutoModel

from espnet_robust.models.onednn import use_onednn
from espnet_robust.models.onednn.convolution import ConvLayer
from espnet_robust.models.onednn.linear import Linear
from espnet_robust.models.speech_model import SpeechModel, build_speech_model


def layers(model: nn.Module, kind: type) -> list[nn.Module]:
    return [module for module in model.modules() if type(module) is kind]


@pytest.mark.parametrize(
    ("kind", "convolutions"),
    [("hubert_layer_norm", 7), ("hubert_group_norm", 0), ("data2vec", 7), ("w2v_bert", 0)],
)
def test_what_is_replaced(teacher_dirs, kind, convolutions):
    theirs = AutoModel.from_pretrained(teacher_dirs[kind])
    ours = copy.deepcopy(theirs)
    assert use_onednn(ours) is ours
    assert len(layers(ours, Linear)) == len(layers(theirs, nn.Linear)) > 0
    assert not layers(ours, nn.Linear)
    assert len(layers(ours, ConvLayer)) == convolutions
    assert list(ours.state_dict()) == list(theirs.state_dict())
    use_onednn(ours)  # again: nothing changes
    assert len(layers(ours, ConvLayer)) == convolutions


def test_a_speech_model_leaves_its_encoder_alone(teacher_dirs, batch):
    encoder = AutoModel.from_pretrained(teacher_dirs["hubert_layer_norm"]).eval()
    encoder.config.layerdrop = 0.5
    before = copy.deepcopy(encoder.config.to_dict())
    plain = SpeechModel(encoder, normalize=True)
    assert encoder.config.to_dict() == before
    assert not layers(plain, Linear) and not layers(plain, ConvLayer)
    fast = build_speech_model(copy.deepcopy(encoder), normalize=True)
    assert fast.config.layerdrop == 0 and not fast.config.apply_spec_augment
    for layer, state in plain(*batch).states.items():
        torch.testing.assert_close(fast(*batch).states[layer], state, atol=1e-5, rtol=1e-5)
