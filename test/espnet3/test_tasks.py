"""ESPnet3 finds our tasks by their dotted names and builds a model on the student."""

import pytest

TOKENS = ["<blank>", "<unk>", "a", "b", "<na>", "<nolang>", "<sop>", "<sos>", "<eos>", "<sos/eos>"]
DIMS = {"output_size": 8, "attention_heads": 2, "linear_units": 8, "num_blocks": 1}
SMALL = {"encoder": "transformer", "encoder_conf": DIMS | {"input_layer": "linear"}}
DECODER = {
    "decoder": "transformer",
    "decoder_conf": {"attention_heads": 2, "linear_units": 8, "num_blocks": 1},
}
TEXT = SMALL | DECODER | {"token_list": TOKENS, "model_conf": {"ctc_weight": 0.3}}
EMBEDDING = {"encoder": "identity", "encoder_conf": {}, "pooling": "mean", "projector": "xvector",
             "projector_conf": {"output_size": 8}, "loss": "softmax", "loss_conf": {}}  # fmt: skip
MODELS = {
    "ASRTask": TEXT,
    "SLUTask": TEXT,
    "S2TTask": TEXT,
    "STTask": TEXT | {"src_token_list": TOKENS, "model_conf": {"asr_weight": 0.3, "mtlalpha": 1}},
    "S2TCTCTask": {
        "encoder": "e_branchformer_ctc",
        "encoder_conf": DIMS | {"input_layer": "linear", "cgmlp_linear_units": 8},
        "promptencoder": "transformer", "promptencoder_conf": DIMS, "token_list": TOKENS,
    },
    "CLSTask": SMALL | {"decoder": "linear", "decoder_conf": {"pooling": "mean"},
                        "token_list": ["yes", "no", "<unk>"]},
    "SpeakerTask": EMBEDDING | {"spk_num": 2},
    "LIDTask": EMBEDDING | {"lang_num": 2},
    "DiarizationTask": SMALL | {"num_spk": 2},
    "SSLTask": SMALL | {
        "preencoder": "linear", "preencoder_conf": {"output_size": 8}, "token_list": TOKENS,
        "loss": [{"name": "hubert", "conf": {"num_classes": 6, "final_dim": 8}}],
        "util": [{"name": "mask", "conf": {"mask_length": 2}}],
    },
    "EnhS2TTask": {
        "subtask_series": ["enh", "asr"], "model_conf": {"calc_enh_loss": False},
        "enh_encoder": "stft", "enh_decoder": "stft", "enh_separator": "rnn",
        "enh_separator_conf": {"num_spk": 1, "layer": 1, "unit": 8},
        "asr_encoder": "transformer", "asr_encoder_conf": SMALL["encoder_conf"],
        "asr_decoder": "transformer", "asr_decoder_conf": DECODER["decoder_conf"],
        "asr_model_conf": {"ctc_weight": 0.5}, "token_list": TOKENS,
    },
    "ASRTransducerTask": {
        "token_list": TOKENS,
        "encoder_conf": {
            "input_conf": {"subsampling_factor": 2, "conv_size": 4},
            "body_conf": [{"block_type": "conformer", "hidden_size": 8, "heads": 2,
                           "linear_size": 8, "conv_mod_kernel_size": 3}],
        },
        "decoder": "rnn", "decoder_conf": {"embed_size": 8, "hidden_size": 8},
    },
}  # fmt: skip


def test_no_task_is_forgotten():
    from espnet_robust.espnet3.tasks import TASKS

    assert MODELS.keys() == TASKS.keys()


@pytest.mark.parametrize("task", MODELS)
def test_espnet3_builds(task, student_dir):
    from espnet3.utils.task_utils import get_espnet_model

    from espnet_robust.plugin.frontend import RobustFrontend

    frontend = {"frontend": "robust_student"}
    frontend["frontend_conf"] = {"student": {"path": str(student_dir)}}
    model = get_espnet_model(f"espnet_robust.espnet3.{task}", MODELS[task] | frontend)
    (found,) = (m for m in model.modules() if isinstance(m, RobustFrontend))
    assert not any(p.requires_grad for p in found.speech_model.parameters())


def test_an_unknown_task():
    import espnet_robust.espnet3

    with pytest.raises(AttributeError, match="has no TTSTask; its tasks are ASRTask, "):
        _ = espnet_robust.espnet3.TTSTask
