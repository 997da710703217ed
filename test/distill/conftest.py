"""Small random teachers, saved as transformers saves them."""

import pytest
import torch
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioModel,
    HubertConfig,
    HubertModel,
    SeamlessM4TFeatureExtractor,
    UniSpeechSatConfig,
    UniSpeechSatModel,
    Wav2Vec2BertConfig,
    Wav2Vec2BertModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from espnet_robust.distill.speech_model import load_teacher, write_preprocessor_config

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 15,
    "num_conv_pos_embedding_groups": 2,
}
KINDS = {
    "hubert_layer_norm": (HubertConfig, HubertModel, {"feat_extract_norm": "layer"}),
    "hubert_group_norm": (HubertConfig, HubertModel, {"feat_extract_norm": "group"}),
    "hubert_large": (
        HubertConfig,
        HubertModel,
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True},
    ),
    "hubert_batch_norm": (
        HubertConfig,
        HubertModel,
        {"feat_extract_norm": "layer", "conv_pos_batch_norm": True},
    ),
    "wavlm": (WavLMConfig, WavLMModel, {"feat_extract_norm": "group"}),
    "wavlm_large": (
        WavLMConfig,
        WavLMModel,
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True},
    ),
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model, {"feat_extract_norm": "group"}),
    "wav2vec2_large": (
        Wav2Vec2Config,
        Wav2Vec2Model,
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "add_adapter": True},
    ),
    "data2vec": (Data2VecAudioConfig, Data2VecAudioModel, {"conv_pos_kernel_size": 5}),
    "unispeech_sat": (UniSpeechSatConfig, UniSpeechSatModel, {"feat_extract_norm": "group"}),
    "unispeech_sat_large": (
        UniSpeechSatConfig,
        UniSpeechSatModel,
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True},
    ),
    "w2v_bert": (Wav2Vec2BertConfig, Wav2Vec2BertModel, {"conv_depthwise_kernel_size": 5}),
}


@pytest.fixture(scope="session")
def teacher_dirs(tmp_path_factory):
    """{kind: directory} of every architecture, random weights."""
    dirs = {}
    for kind, (config, model, options) in KINDS.items():
        torch.manual_seed(0)
        dirs[kind] = tmp_path_factory.mktemp(kind)
        model(config(**TINY, **options)).save_pretrained(dirs[kind])
        if kind == "w2v_bert":
            SeamlessM4TFeatureExtractor(padding_value=1.0).save_pretrained(dirs[kind])
        else:
            write_preprocessor_config(dirs[kind], normalize=kind != "hubert_group_norm")
    return dirs


@pytest.fixture
def teacher(teacher_dirs):
    """A frozen teacher of 4 layers of 16, targets 2 and 4."""
    return load_teacher(teacher_dirs["hubert_layer_norm"], [2, 4])


@pytest.fixture
def batch():
    """wav (3, 8000) with rubbish in the padding, lengths (3,)."""
    generator = torch.Generator().manual_seed(1)
    wav = torch.randn(3, 8000, generator=generator) * 0.1
    return wav, torch.tensor([8000, 6123, 3000])
