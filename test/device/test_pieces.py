"""Convolutions in pieces are the convolutions."""

import numpy as np
import onnx
import pytest
import torch

from espnet_robust.common.errors import ModelError
from espnet_robust.device.export import export
from espnet_robust.device.onnx_file import EightBits, write_int8
from espnet_robust.device.pieces import PIECE
from espnet_robust.device.runtime import Runtime
from espnet_robust.models.speech_model import load_teacher
from espnet_robust.models.student import StudentConfig, build_student, save_student


@pytest.fixture(scope="module", params=["hubert_layer_norm", "hubert_group_norm"])
def student(request, teacher_dirs, tmp_path_factory):
    """A student and the directory of its export."""
    torch.manual_seed(0)
    model = build_student(load_teacher(teacher_dirs[request.param]), StudentConfig()).eval()
    out = tmp_path_factory.mktemp("pieces")
    save_student(model, out / "student", {})
    export(out / "student", out, "onnx", "")
    return model, out / "model.onnx"


def test_only_the_positional_convolution_sees_the_whole(student):
    graph = onnx.load(student[1]).graph
    (loop,) = (node for node in graph.node if node.op_type == "Loop")
    inner = [node.op_type for node in loop.attribute[0].g.node]
    assert inner.count("MatMul") == len(student[0].config.conv_dim)
    assert "Conv" not in inner
    assert sum(node.op_type == "Conv" for node in graph.node) == 1
    assert not any(node.domain for node in graph.node)


@pytest.mark.parametrize("frames", [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE])
@pytest.mark.parametrize("more", [0, 319])
def test_at_the_edges_of_pieces_alone_and_padded(student, frames, more):
    model, runtime = student[0], Runtime(student[1])
    samples = 320 * (frames - 1) + 400 + more
    rng = np.random.default_rng(frames)
    wavs = [rng.standard_normal(n).astype(np.float32) for n in (samples, samples + 9000, 400)]
    for wav, row, alone in zip(wavs, runtime.rows(wavs), map(runtime.rows, zip(wavs)), strict=True):
        with torch.no_grad():
            states = model(torch.from_numpy(wav)[None], torch.tensor([len(wav)])).states
        expected = torch.stack([states[layer][0] for layer in states]).numpy()
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(alone[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("calibration", [{}, {"a": np.sin(np.arange(16000.0)).astype(np.float32)}])
def test_in_integers_if_asked_for(student, tmp_path, calibration):
    """All but the first, whose weights depend on the utterance and which hears the samples."""
    ours = {}
    for convolutions in (False, True):
        path = tmp_path / f"{convolutions}.onnx"
        write_int8(student[1], path, EightBits(calibration, convolutions))
        (loop,) = (node for node in onnx.load(path).graph.node if node.op_type == "Loop")
        inner = [node.op_type for node in loop.attribute[0].g.node]
        products = len(student[0].config.conv_dim)
        assert inner.count("MatMulInteger") == (products - 1) * convolutions
        assert inner.count("MatMul") == (1 if convolutions else products)
        ours[convolutions] = Runtime(path).rows([np.sin(0.1 * np.arange(9000)).astype(np.float32)])
    difference = np.abs(ours[True][0] - ours[False][0])
    assert 0 < difference.mean() < 0.2 * np.abs(ours[False][0]).mean()


def test_integers_need_convolutions(teacher_dir, tmp_path):
    shape = {"hidden_size": 16, "num_attention_heads": 2, "num_conv_pos_embeddings": 15}
    config = StudentConfig(kind="log_mel", init="random", overrides=shape)
    save_student(build_student(load_teacher(teacher_dir), config), tmp_path / "student", {})
    with pytest.raises(ModelError, match="no convolutions like HuBERT's; .* without --int8_conv"):
        export(tmp_path / "student", tmp_path, "all", "", EightBits(convolutions=True))
