"""Full-size encoders with random weights, for speed measurements."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from espnet_robust.models.speech_model import SpeechModel
from espnet_robust.models.student import THIN, build_from_arch, save_student

# HuBERT Base (arXiv:2106.07447) is transformers' default for the model type.
_SMALL = {
    "hidden_size": 512,
    "num_attention_heads": 8,
    "intermediate_size": 2048,
    "num_hidden_layers": 2,
    "num_conv_pos_embeddings": 31,
}
FULL: Mapping[str, Mapping[str, Any]] = {
    "teacher": {"model_type": "hubert"},
    "hubert": {"model_type": "hubert", "num_hidden_layers": 2},
    "lstm": {"model_type": "conv_lstm", "hidden_size": 512, "num_hidden_layers": 2},
    "thin": THIN | _SMALL,
    "log_mel": {"model_type": "log_mel"} | _SMALL,
}


def build_shape(name: str) -> SpeechModel:
    """One of the shapes in ``FULL``, in eval mode."""
    torch.manual_seed(0)
    return build_from_arch(FULL[name], normalize=True, rate=16000).eval()


def save_shape(name: str, out: Path) -> SpeechModel:
    """Build a shape and save it as a student directory, which can be exported and loaded."""
    model = build_shape(name)
    save_student(model, out, {"shape": name, "weights": "random"})
    return model
