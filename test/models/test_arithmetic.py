import pytest
import torch

from espnet_robust.models.arithmetic import multiply_accumulates
from espnet_robust.models.speech_model import load_teacher
from espnet_robust.models.student import StudentConfig, build_student


def convolutions(samples: int, channels: int) -> int:
    """HuBERT's seven, all of one width."""
    total, inputs, frames = 0, 1, samples
    for kernel, stride in [(10, 5), *[(3, 2)] * 4, *[(2, 2)] * 2]:
        frames = (frames - kernel) // stride + 1
        total += frames * channels * inputs * kernel
        inputs = channels
    return total


@pytest.mark.parametrize("kind", ["hubert_layer_norm", "hubert_group_norm"])
def test_a_transformer_by_hand(teacher_dirs, kind):
    model = load_teacher(teacher_dirs[kind])  # 4 layers of 16, feed-forward 32
    found = multiply_accumulates(model, 1.0)
    frames = 49
    layer = 4 * 16 * 16 + 2 * 16 * 32
    assert found["front"] == convolutions(16000, 16)
    positional = frames * 16 * 8 * 15
    rest = frames * 16 * 16 + positional + frames * 4 * layer + 4 * 2 * frames**2 * 16
    assert found["all"] == found["front"] + rest


def test_an_lstm_and_a_filter_bank_by_hand(teacher):
    torch.manual_seed(0)
    lstm = StudentConfig(2, "random", {"hidden_size": 12}, "lstm")
    found = multiply_accumulates(build_student(teacher, lstm), 1.0)
    layers = 2 * 49 * 2 * 4 * 6 * (12 + 6)
    assert found["all"] - found["front"] == 49 * 16 * 12 + layers
    small = {"hidden_size": 16, "num_attention_heads": 2, "num_conv_pos_embeddings": 15}
    bank = StudentConfig(1, "random", small, "log_mel")
    found = multiply_accumulates(build_student(teacher, bank), 1.0)
    transform = 101 * 101 + 100 * 100 + 99 * 101 + 100 * 100  # folded twice
    assert found["front"] == 98 * (transform + 80 * 201)


def test_thin_convolutions_are_a_tenth_of_hubert_bases(teacher):
    small = {"hidden_size": 16, "num_attention_heads": 2, "num_conv_pos_embeddings": 15}
    thin = build_student(teacher, StudentConfig(1, "random", small, "thin"))
    assert multiply_accumulates(thin, 1.0)["front"] < convolutions(16000, 512) / 20
