"""Move ESPnet's published configurations of self-supervised frontends to ours, and train a step.

Architectures and keys are those of recipes in ESPnet's egs2, with small sizes. ``moved`` changes
only the lines that plugin/README.md lists.
"""

import sys
import types

import pytest
import torch
from espnet2.tasks import abs_task

from espnet_robust.common.errors import ConfigError
from espnet_robust.plugin.registration import register
from test.test_tasks import TOKENS, build, frontends, labels, speakers, speech, text, watch

S3PRL = {
    "frontend": "s3prl",
    "frontend_conf": {
        "frontend_conf": {"upstream": "wavlm_large"},
        "download_dir": "./hub",
        "multilayer_feature": True,
    },
}
HUGGINGFACE = {
    "frontend": "huggingface",
    "frontend_conf": {"model": "facebook/hubert-base-ls960", "download_dir": "./hub"},
}
PREENCODER = {"preencoder": "linear", "preencoder_conf": {"input_size": 16, "output_size": 20}}
SPECAUG = {
    "specaug": "specaug",
    "specaug_conf": {
        "apply_time_warp": True, "time_warp_window": 5, "time_warp_mode": "bicubic",
        "apply_freq_mask": True, "freq_mask_width_range": [0, 3], "num_freq_mask": 2,
        "apply_time_mask": True, "time_mask_width_range": [0, 4], "num_time_mask": 2,
    },
}  # fmt: skip
SIZES = {"output_size": 8, "attention_heads": 2, "num_blocks": 2, "dropout_rate": 0.1}
CONFORMER = {
    "encoder": "conformer",
    "encoder_conf": SIZES | {
        "linear_units": 16, "input_layer": "conv2d2", "macaron_style": True, "cnn_module_kernel": 5,
        "pos_enc_layer_type": "rel_pos", "selfattention_layer_type": "rel_selfattn",
        "activation_type": "swish", "use_cnn_module": True,
    },
}  # fmt: skip
E_BRANCHFORMER = {
    "encoder": "e_branchformer",
    "encoder_conf": SIZES | {
        "attention_layer_type": "rel_selfattn", "pos_enc_layer_type": "rel_pos",
        "rel_pos_type": "latest", "cgmlp_linear_units": 16, "cgmlp_conv_kernel": 5,
        "linear_units": 16, "use_ffn": True, "macaron_ffn": True, "input_layer": "conv2d1",
        "ffn_activation_type": "swish", "merge_conv_kernel": 5,
    },
}  # fmt: skip
STREAMING = {
    "encoder": "contextual_block_conformer",
    "encoder_conf": SIZES | {
        "linear_units": 16, "input_layer": "conv2d", "block_size": 8, "hop_size": 4,
        "look_ahead": 2, "init_average": True, "ctx_pos_enc": True, "cnn_module_kernel": 5,
    },
}  # fmt: skip
TRANSFORMER = {
    "encoder": "transformer",
    "encoder_conf": SIZES | {"linear_units": 16, "input_layer": "conv2d2"},
}
DECODER = {
    "decoder": "transformer",
    "decoder_conf": {"attention_heads": 2, "linear_units": 16, "num_blocks": 1},
}
TRANSDUCER = {"decoder": "transducer", "decoder_conf": {"rnn_type": "lstm", "num_layers": 1,
              "hidden_size": 8}, "joint_net_conf": {"joint_space_size": 8}}  # fmt: skip
HYBRID = {"token_list": TOKENS, "model_conf": {"ctc_weight": 0.3, "lsm_weight": 0.1}}
FROZEN = {"freeze_param": ["frontend.upstream"]}
UTTERANCE = {"normalize": "utterance_mvn"}
LORA = {"use_adapter": True, "adapter": "lora", "save_strategy": "adapter_only",
        "adapter_conf": {"rank": 2, "alpha": 4,
                         "target_modules": ["q_proj", "v_proj"]}}  # fmt: skip

# as a recipe of ESPnet has it -> task, configuration, the rest of a batch
PUBLISHED = {
    "librispeech conformer, wavlm": (
        "asr", S3PRL | PREENCODER | CONFORMER | DECODER | SPECAUG | UTTERANCE | HYBRID | FROZEN,
        text(),
    ),
    "e-branchformer, hubert": (
        "asr", S3PRL | PREENCODER | E_BRANCHFORMER | DECODER | UTTERANCE | HYBRID | FROZEN, text(),
    ),
    "huggingface frontend": ("asr", HUGGINGFACE | PREENCODER | TRANSFORMER | HYBRID | DECODER,
                             text()),
    "ml_superb, one layer, CTC": (
        "asr",
        S3PRL | TRANSFORMER | {"decoder": None, "token_list": TOKENS,
                               "frontend_conf": S3PRL["frontend_conf"]
                               | {"multilayer_feature": False, "layer": 1},
                               "model_conf": {"ctc_weight": 1.0}},
        text(),
    ),
    "streaming conformer": ("asr", S3PRL | STREAMING | DECODER | HYBRID | FROZEN, text()),
    "slurp conformer": ("slu", S3PRL | PREENCODER | CONFORMER | DECODER | UTTERANCE | HYBRID,
                        text()),
    "must_c conformer": (
        "st",
        S3PRL | PREENCODER | CONFORMER | DECODER | UTTERANCE
        | {"token_list": TOKENS, "src_token_list": TOKENS,
           "model_conf": {"asr_weight": 0.3, "mtlalpha": 1.0}},
        text() | text("src_text"),
    ),
    "voxceleb ECAPA-TDNN, wavlm": (
        "spk",
        S3PRL | {"encoder": "ecapa_tdnn", "encoder_conf": {"model_scale": 2, "ndim": 8,
                                                           "output_size": 12},
                 "pooling": "chn_attn_stat", "projector": "rawnet3",
                 "projector_conf": {"output_size": 8}, "normalize": "utterance_mvn",
                 "loss": "aamsoftmax_sc_topk", "spk_num": 4,
                 "loss_conf": {"margin": 0.3, "scale": 30, "K": 2, "mp": 0.06, "k_top": 2},
                 "model_conf": {"extract_feats_in_collect_stats": False}},
        labels("spk_labels"),
    ),
    "diarisation, wavlm": (
        "diar",
        S3PRL | {"encoder": "transformer", "encoder_conf": SIZES | {"linear_units": 16,
                                                                    "input_layer": "linear"},
                 "decoder": "linear", "num_spk": 2, "specaug": None,
                 "label_aggregator_conf": {"win_length": 400, "hop_length": 320}},
        speakers(),
    ),
    "chime4 enhancement, wavlm": (
        "enh_s2t",
        S3PRL | {"subtask_series": ["enh", "asr"], "model_conf": {"calc_enh_loss": False},
                 "enh_encoder": "conv", "enh_decoder": "conv",
                 "enh_encoder_conf": {"channel": 8, "kernel_size": 40, "stride": 20},
                 "enh_decoder_conf": {"channel": 8, "kernel_size": 40, "stride": 20},
                 "enh_separator": "tcn",
                 "enh_separator_conf": {"num_spk": 1, "layer": 1, "stack": 1, "bottleneck_dim": 8,
                                        "hidden_dim": 8, "kernel": 3},
                 "asr_preencoder": "linear", "asr_preencoder_conf": PREENCODER["preencoder_conf"],
                 "asr_encoder": "transformer", "asr_encoder_conf": TRANSFORMER["encoder_conf"],
                 "asr_decoder": "transformer", "asr_decoder_conf": DECODER["decoder_conf"],
                 "asr_model_conf": {"ctc_weight": 0.3}, "token_list": TOKENS},
        text("text_spk1"),
    ),
    "LoRA": ("asr", S3PRL | PREENCODER | TRANSFORMER | DECODER | HYBRID | LORA, text()),
}  # fmt: skip


def moved(conf: dict) -> dict:
    """``conf`` after the changes that plugin/README.md lists; ``build`` adds the student."""
    frontend = dict(conf["frontend_conf"])
    for key in ("frontend_conf", "model", "download_dir"):
        frontend.pop(key, None)
    return conf | {"frontend": "robust_student", "frontend_conf": frontend}


def built(name, student_dir, tmp_path):
    task, conf, targets = PUBLISHED[name]
    return build(task, moved(conf), student_dir, tmp_path), targets


@pytest.fixture(scope="module", autouse=True)
def registered():
    register()


@pytest.mark.parametrize("name", PUBLISHED)
def test_trains_a_step(name, student_dir, tmp_path):
    torch.manual_seed(0)
    model, targets = built(name, student_dir, tmp_path)
    (frontend,) = frontends(model)
    seen = watch(frontend)
    loss, _, _ = model.train()(**speech(), **targets)
    loss.backward()
    assert torch.isfinite(loss) and seen
    trained = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum()}
    assert any("encoder" in n for n in trained)
    assert not any("speech_model" in n for n in trained if "lora_" not in n)


def test_a_transducer_encodes(student_dir, tmp_path, monkeypatch):
    """Its loss needs a package that does not install here; everything before the loss runs."""
    absent = types.ModuleType("warprnnt_pytorch")
    absent.RNNTLoss = lambda **options: torch.nn.Identity()
    monkeypatch.setitem(sys.modules, "warprnnt_pytorch", absent)
    conf = moved(S3PRL | PREENCODER | CONFORMER | TRANSDUCER | HYBRID | FROZEN)
    model = build("asr", conf, student_dir, tmp_path)
    encoded, lengths = model.encode(**speech())
    assert encoded.shape == (2, max(lengths), 8) and torch.isfinite(encoded).all()


@pytest.mark.parametrize(
    ("published", "answer"),
    [
        (S3PRL, "upstream: write `student: {hf: microsoft/wavlm-large}`"),
        (HUGGINGFACE, "model: write `student: {hf: facebook/hubert-base-ls960}`"),
    ],
)
def test_unmoved_lines_are_answered(published, answer, student_dir, tmp_path):
    conf = published | TRANSFORMER | DECODER | HYBRID | {"frontend": "robust_student"}
    with pytest.raises(ConfigError, match="download_dir") as e:
        build("asr", conf, student_dir, tmp_path)
    assert answer in str(e.value)


def test_houlsby_is_answered_with_lora(student_dir, tmp_path):
    """ESPnet's Houlsby adapter supports only ESPnet's own s3prl frontend."""
    model = build("asr", moved(S3PRL | TRANSFORMER | DECODER | HYBRID), student_dir, tmp_path)
    with pytest.raises(ConfigError, match="write `adapter: lora`"):
        abs_task.create_adapter(model, "houlsby", {"bottleneck": 4})
