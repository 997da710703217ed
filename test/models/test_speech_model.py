import copy
import json

import pytest
import torch
from torch import nn
from transformers import AutoModel, Wav2Vec2FeatureExtractor

from espnet_robust.common.errors import ModelError
from espnet_robust.models.front.front import Front
from espnet_robust.models.onednn.linear import Linear
from espnet_robust.models.speech_model import (
    SpeechModel,
    build_speech_model,
    load_teacher,
    normalize_waveform,
)

from ..conftest import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_depends_on_neither_padding_nor_batch_mates(teacher_dirs, batch, kind):
    model, (wav, lengths) = load_teacher(teacher_dirs[kind]), batch
    together = model(wav, lengths)
    for i, n in enumerate(lengths.tolist()):
        alone = model(wav[i : i + 1, :n], lengths[i : i + 1])
        assert alone.lengths[0] == together.lengths[i] == alone.states[0].shape[1]
        for layer, state in alone.states.items():
            torch.testing.assert_close(
                together.states[layer][i, : alone.lengths[0]], state[0], atol=1e-5, rtol=1e-5
            )


@pytest.mark.parametrize("kind", KINDS)
def test_layers_below_a_target_are_those_of_the_whole_model(teacher_dirs, batch, kind):
    whole = load_teacher(teacher_dirs[kind])(*batch)
    cut = load_teacher(teacher_dirs[kind], [1, 3])
    assert cut.num_layers == 3
    for layer, state in cut(*batch).states.items():
        assert torch.equal(state, whole.states[layer])


@pytest.mark.parametrize("samples", [400, 719, 720, 8000, 16000])
def test_frame_count_is_that_of_the_convolutions(teacher, samples):
    state = teacher(torch.randn(1, samples), torch.tensor([samples])).states[0]
    assert state.shape[1] == teacher.num_frames(samples) == (samples - 400) // 320 + 1
    assert teacher.num_frames(torch.tensor([samples, 399])).tolist() == [state.shape[1], 0]
    assert (teacher.hop, teacher.min_samples) == (320, 400)


def test_normalisation_is_the_feature_extractors():
    wavs = [torch.randn(900).numpy() + 0.3, torch.randn(700).numpy() * 0.1]
    expected = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)(
        wavs, sampling_rate=16000, padding=True, return_tensors="pt"
    ).input_values
    padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(w) for w in wavs], batch_first=True)
    ours = normalize_waveform(padded, torch.tensor([900, 700]))
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


def test_a_teacher_is_frozen(teacher):
    assert not teacher.training
    assert not any(p.requires_grad for p in teacher.parameters())


def test_target_layer_beyond_the_depth(teacher_dirs):
    with pytest.raises(ModelError, match=r"target layer 9 does not exist; .* to 4"):
        load_teacher(teacher_dirs["wavlm"], [2, 9])


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_incomplete_directory(teacher_dirs, tmp_path, missing):
    for file in teacher_dirs["wavlm"].iterdir():
        if file.name != missing:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ModelError, match=missing.split(".")[0]):
        load_teacher(tmp_path)


def test_weights_of_another_architecture(teacher_dirs, tmp_path):
    for file in teacher_dirs["hubert_layer_norm"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 6}))
    with pytest.raises(ModelError, match="weights missing"):
        load_teacher(tmp_path)


def test_no_such_directory():
    with pytest.raises(ModelError, match="no such directory"):
        load_teacher("./nowhere")


def test_a_speech_model_leaves_its_encoder_alone(teacher_dirs, batch):
    encoder = AutoModel.from_pretrained(teacher_dirs["hubert_layer_norm"]).eval()
    encoder.config.layerdrop = 0.5
    before = copy.deepcopy(encoder.config.to_dict())
    plain = SpeechModel(encoder, normalize=True)
    assert encoder.config.to_dict() == before
    assert not any(isinstance(layer, Front | Linear) for layer in plain.modules())
    fast = build_speech_model(copy.deepcopy(encoder), normalize=True)
    assert any(isinstance(layer, Front) for layer in fast.modules())
    assert all(type(layer) is not nn.Linear for layer in fast.modules())
    assert fast.config.layerdrop == 0 and not fast.config.apply_spec_augment
    for layer, state in plain(*batch).states.items():
        torch.testing.assert_close(fast(*batch).states[layer], state, atol=1e-5, rtol=1e-5)
