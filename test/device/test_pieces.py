"""Convolutions in pieces are the convolutions."""

import numpy as np
import onnx
import pytest
import torch

from espnet_robust.device.export import export
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
    assert inner.count("Conv") == len(student[0].config.conv_dim)
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
