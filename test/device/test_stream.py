"""An exported stream is the recogniser on the whole utterance, however the samples are cut."""

import numpy as np
import onnx
import pytest
import torch

from espnet_robust.common.errors import ModelError
from espnet_robust.device.delay import output_at
from espnet_robust.device.export import _as_stream
from espnet_robust.device.features import Features
from espnet_robust.device.onnx_file import DYNAMIC, EightBits
from espnet_robust.device.recogniser import Experiment, Recogniser
from espnet_robust.device.runtime import Runtime
from espnet_robust.device.stream import Stream, stream_log_probs
from espnet_robust.device.stream_graph import StreamGraph
from espnet_robust.models.blstm import BLSTM
from espnet_robust.models.running_mean import WINDOW
from espnet_robust.models.speech_model import build_speech_model, load_teacher
from espnet_robust.models.streaming import StreamConfig, StreamModel

TOKENS = ["<blank>", "<unk>", "▁A", "▁B", "C"]


def recogniser(
    chunk_ms=160, normalize="running_mean", subsample=(2, 1), bidirectional=False, window=WINDOW
):
    torch.manual_seed(0)
    config = StreamConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        num_conv_pos_embeddings=9, num_conv_pos_embedding_groups=2, chunk_ms=chunk_ms,
        left_ms=2 * chunk_ms, mask_time_prob=0.0,
    )  # fmt: skip
    features = Features(build_speech_model(StreamModel(config), normalize=False), "weighted_sum")
    encoder = BLSTM(16, 12, 10, 2, subsample, bidirectional=bidirectional)
    return Recogniser(features, encoder, len(TOKENS), normalize, window=window).eval()


def wave(samples, seed=0):
    rng = np.random.default_rng(seed)
    tone = np.sin(np.cumsum(rng.uniform(0.02, 0.4, samples // 1600 + 1).repeat(1600)[:samples]))
    return (0.1 * tone + 0.02 * rng.standard_normal(samples)).astype(np.float32)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("stream")


@pytest.fixture(scope="module", params=["running_mean", None])
def pair(request, out):
    model = recogniser(normalize=request.param, window=20)
    folder = out / str(request.param)
    folder.mkdir()
    _as_stream(folder, Experiment(model, TOKENS, "bpe"), folder, DYNAMIC)
    return model, Runtime(folder / "stream.onnx")


@pytest.mark.parametrize("size", [1, 37, 999, 2560, 100000])
@pytest.mark.parametrize("samples", [400, 719, 720, 2799, 2800, 2960, 30011])
def test_it_is_one_pass_however_it_is_cut(pair, samples, size):
    model, runtime = pair
    if samples // size > 3000:
        pytest.skip("more of the same")
    wav = wave(samples)
    with torch.no_grad():
        whole = model(torch.from_numpy(wav)[None], None)[0][0].numpy()
    blocks = [wav[at : at + size] for at in range(0, samples, size)]
    streamed = np.concatenate(list(stream_log_probs(runtime, blocks)))
    np.testing.assert_allclose(streamed, whole, rtol=0, atol=1e-4)


def test_an_eraser_streams_too(out, with_eraser):
    model, wav = recogniser(normalize=None), wave(30011)
    with torch.no_grad():
        before = model(torch.from_numpy(wav)[None], None)[0][0].numpy()
        with_eraser(model.frontend.speech_model)
        whole = model(torch.from_numpy(wav)[None], None)[0][0].numpy()
    assert np.abs(whole - before).max() > 20 * 1e-4
    (out / "erased").mkdir()
    _as_stream(out / "erased", Experiment(model, TOKENS, "bpe"), out / "erased", DYNAMIC)
    runtime = Runtime(out / "erased/stream.onnx")
    streamed = np.concatenate(list(stream_log_probs(runtime, [wav[:999], wav[999:]])))
    np.testing.assert_allclose(streamed, whole, rtol=0, atol=1e-4)


def test_a_frame_is_output_when_delay_says_so_and_not_before(pair):
    model = pair[1]
    for frame in (0, 3, 4, 11):
        samples = round(16000 * output_at(model, frame))
        for count, there in ((samples, True), (samples - 1, False)):
            assert (sum(map(len, Stream(model).feed(wave(count)))) > frame) == there


def test_less_than_a_frame_is_nothing(pair):
    assert not list(stream_log_probs(pair[1], [wave(399)]))


def test_memory_and_states_do_not_grow(pair):
    stream = Stream(pair[1])
    sizes = set()
    for _ in range(200):  # 200 s
        for block in stream.feed(wave(16000)):
            assert np.isfinite(block).all()
        sizes.add(sum(value.nbytes for value in stream.states.values()))
        assert len(stream.held) < stream.need
    assert len(sizes) == 1


def test_the_file_says_what_it_needs(pair):
    metadata = pair[1].metadata
    assert metadata.kind == "stream"
    assert metadata.chunk == {"samples": 2800, "shift": 2560, "frames": 8, "subsample": 2}
    inputs = {one.name: one.shape for one in pair[1].session.get_inputs()}
    assert inputs.pop("samples") == [1, 2800] and inputs.pop("frames") == []
    assert inputs == {name: shape for name, (_, shape) in metadata.states.items()}
    outputs = {one.name: one.shape for one in pair[1].session.get_outputs()}
    assert outputs.pop("log_probs") == [1, 4, 5]
    assert {name.removeprefix("next_"): shape for name, shape in outputs.items()} == inputs


@pytest.mark.parametrize("calibration", [{}, {"a": wave(16000), "b": wave(5000, 1)}])
def test_int8(tmp_path, calibration):
    model = recogniser()
    _as_stream(tmp_path, Experiment(model, TOKENS, "bpe"), tmp_path, EightBits(calibration))
    kinds = [node.op_type for node in onnx.load(tmp_path / "stream.int8.onnx").graph.node]
    assert ("MatMulInteger" in kinds) == (not calibration)
    assert ("QuantizeLinear" in kinds) == bool(calibration)
    kept = [
        node.name
        for node in onnx.load(tmp_path / "stream.int8.onnx").graph.node
        if node.op_type in ("MatMul", "Gemm")
        and not any(name.endswith("_DequantizeLinear_Output") for name in node.input)
    ]
    # The Fourier transform in four parts, the filters, what takes log energies, two products of
    # attention in each layer, and the layers above the student.
    assert len(kept) == 4 + 1 + 1 + 2 * 2 + 3
    assert sum(name.startswith(("/ctc_lo/", "/projections.")) for name in kept) == 3
    int8, exact = (
        np.concatenate(list(stream_log_probs(Runtime(tmp_path / name), [wave(16000)])))
        for name in ("stream.int8.onnx", "stream.onnx")
    )
    assert 0 < np.abs(np.exp(int8) - np.exp(exact)).mean() < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bidirectional": True}, "its encoder is bidirectional; .* bidirectional: false"),
        ({"normalize": "utterance_mvn"}, "needs the whole utterance; .* running_mean"),
        ({"subsample": (3, 1)}, "chunks of 8 frames, of which the encoder keeps every 3th"),
    ],
)
def test_recognisers_that_cannot_stream(change, message):
    with pytest.raises(ModelError, match=f"exp: cannot be exported as a stream: .*{message}"):
        StreamGraph(recogniser(**change), "exp")


def test_a_student_that_cannot_stream(teacher_dir):
    model = recogniser()
    model.frontend.speech_model = load_teacher(teacher_dir)
    with pytest.raises(ModelError, match="needs the whole utterance; distil .* causal: true"):
        StreamGraph(model, "exp")
