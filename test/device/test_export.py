"""Exported files in onnxruntime and sherpa-onnx: torch's numbers, the greedy decoder's text."""

import os
import shutil

import numpy as np
import onnx
import pytest
import sherpa_onnx
import torch
import yaml

from espnet_robust.bin import export as command
from espnet_robust.common.errors import ModelError, UserError
from espnet_robust.data.audio import read_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.device.experiment import frames_options
from espnet_robust.device.export import FILES, FORMATS, export
from espnet_robust.device.graph import OPSET
from espnet_robust.device.greedy import best_path
from espnet_robust.device.metadata import text_of
from espnet_robust.device.onnx_file import EightBits
from espnet_robust.device.recogniser import read_experiment
from espnet_robust.device.runtime import Runtime
from espnet_robust.models.layers import select_layers
from espnet_robust.models.speech_model import load_teacher
from espnet_robust.models.student import StudentConfig, build_student, save_student
from espnet_robust.recognise.decode import load_recogniser

CHECKPOINT = "1epoch.pth"
LENGTHS = (400, 719, 720, 1039, 1040, 5000, 16000, 33333, 480000)


@pytest.fixture(scope="module")
def wavs():
    """Tones in noise of 400 samples to 30 s."""
    rng = np.random.default_rng(0)
    out = []
    for n in LENGTHS:
        tone = np.sin(np.arange(n) * rng.uniform(0.02, 0.4))
        out.append((0.1 * tone + 0.05 * rng.standard_normal(n)).astype(np.float32))
    return out


def heard(model, wav):
    tokens = best_path(model.rows([wav]))
    return text_of([model.metadata.pieces[token.id] for token in tokens])


def test_a_recogniser_alone_and_batched(experiment, exported, wavs):
    model, runtime = read_experiment(experiment, CHECKPOINT).model, Runtime(exported / "model.onnx")
    batched = runtime.rows(wavs)
    for wav, together in zip(wavs, batched, strict=True):
        with torch.no_grad():
            expected = model(torch.from_numpy(wav)[None], None)[0][0].numpy()
        for row in (together, runtime.rows([wav])[0]):
            # Layer norm over 8 channels multiplies the last bits; real models keep to 1e-4.
            np.testing.assert_allclose(row, expected, rtol=1e-3, atol=1e-3)


SMALL = {"hidden_size": 16, "num_attention_heads": 2, "num_conv_pos_embeddings": 15}
STUDENTS = {
    "hubert_layer_norm": {},
    "hubert_group_norm": {},
    "hubert_large": {},
    "hubert_batch_norm": {},
    "wavlm": {},
    "wav2vec2": {},
    "data2vec": {},
    "unispeech_sat": {},
    "lstm": {"kind": "lstm", "init": "random", "overrides": {"hidden_size": 12}},
    "thin": {"kind": "thin", "init": "random", "overrides": SMALL},
    "log_mel": {"kind": "log_mel", "init": "random", "overrides": SMALL},
    "stream": {"kind": "log_mel", "init": "random", "overrides": SMALL, "causal": True},
    "erased": {},
}


@pytest.mark.parametrize("kind", STUDENTS)
def test_students_of_every_architecture(teacher_dirs, with_eraser, tmp_path, wavs, kind):
    torch.manual_seed(0)
    teacher = load_teacher(teacher_dirs.get(kind, teacher_dirs["hubert_layer_norm"]))
    student = build_student(teacher, StudentConfig(**STUDENTS[kind])).eval()
    if kind == "erased":
        with_eraser(student)
    save_student(student, tmp_path / "student", {})
    export(tmp_path / "student", tmp_path / "out", "onnx", "")
    runtime = Runtime(tmp_path / "out/model.onnx")
    assert runtime.metadata.batch
    few = wavs[:8]
    for wav, row in zip(few, runtime.rows(few), strict=True):
        with torch.no_grad():
            states = student(torch.from_numpy(wav)[None], torch.tensor([len(wav)])).states
        expected = torch.stack([states[layer][0] for layer in states]).numpy()
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-4)


def test_text_is_the_greedy_decoders(experiment, exported, data):
    decoder, runtime = load_recogniser(experiment, CHECKPOINT), Runtime(exported / "model.onnx")
    wavs = [read_audio(entry) for entry in read_data_dir(data).wav.values()]
    expected = [" ".join(text.split()) for text in decoder(wavs)]
    assert [heard(runtime, wav) for wav in wavs] == expected
    assert len(set(expected)) > 2  # it has learned something


def test_a_destination_that_is_a_file(student_dir):
    config = student_dir / "config.yaml"
    before = config.read_bytes()
    with pytest.raises(UserError, match="config.yaml: is a file; name a directory"):
        command.main([str(student_dir), str(config)])
    assert config.read_bytes() == before


@pytest.mark.parametrize("name", ["sherpa.onnx", "sherpa.int8.onnx"])
def test_sherpa_onnx_reads_it_and_gives_the_same_text(exported, data, name):
    recogniser = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(
        model=str(exported / name), tokens=str(exported / "tokens.txt"), num_threads=1
    )
    runtime = Runtime(exported / name.replace("sherpa", "model"))
    for entry in read_data_dir(data).wav.values():
        wav = read_audio(entry)
        stream = recogniser.create_stream()
        stream.accept_waveform(16000, wav)
        recogniser.decode_stream(stream)
        assert " ".join(stream.result.text.split()) == heard(runtime, wav)
        # Frames of 40 ms come twice: times in steps of 20 ms are right.
        times = [token.first * 0.04 for token in best_path(runtime.rows([wav]))]
        assert stream.result.timestamps == pytest.approx(times, abs=1e-3)


def test_files_say_what_they_are(exported):
    model = onnx.load(exported / "model.onnx")
    assert [one.version for one in model.opset_import if not one.domain] == [OPSET]
    assert [one.name for one in model.graph.input] == ["samples", "lengths"]
    sherpa = onnx.load(exported / "sherpa.onnx")
    assert len(sherpa.graph.input) == 1
    assert sherpa.graph.output[0].type.tensor_type.shape.dim[2].dim_value == 7
    assert (exported / "tokens.txt").read_text().splitlines()[:3] == ["<blk> 0", "<unk> 1", "▁ 2"]
    metadata = Runtime(exported / "model.onnx").metadata
    assert (metadata.kind, metadata.hop, metadata.pieces[2:4]) == ("recogniser", 640, ["▁", "A"])
    assert Runtime(exported / "sherpa.onnx").metadata.hop == 320


def test_only_matrix_products_are_of_integers(exported):
    before, after = (
        {node.op_type for node in onnx.load(exported / name).graph.node}
        for name in ("model.onnx", "model.int8.onnx")
    )
    assert "MatMulInteger" in after and "MatMulInteger" not in before
    assert {"Conv", "LSTM"} <= after
    assert not {"ConvInteger", "QLinearConv", "DynamicQuantizeLSTM"} & after
    # What stands on the speech model decides about text, and is little of the arithmetic.
    nodes = onnx.load(exported / "model.int8.onnx").graph.node
    kept = [node.name for node in nodes if node.op_type == "MatMul"]
    assert any("ctc_lo" in name for name in kept)
    assert not any("q_proj" in name for name in kept)


@pytest.mark.parametrize("calibration", [{}, {"a": np.sin(np.arange(16000.0)).astype(np.float32)}])
def test_log_energies_and_what_takes_them_stay_float(teacher_dir, tmp_path, calibration):
    student = build_student(load_teacher(teacher_dir), StudentConfig(**STUDENTS["log_mel"]))
    save_student(student, tmp_path / "student", {})
    export(tmp_path / "student", tmp_path, "all", "", EightBits(calibration))
    model = onnx.load(tmp_path / "model.int8.onnx")
    made_by = {out: node for node in model.graph.node for out in node.output}
    before = []
    todo = [n for n in model.graph.node if "/feature_projection/projection/MatMul" in n.name]
    while todo:
        before.append(todo.pop())
        todo += [made_by[name] for name in before[-1].input if name in made_by]
    kinds = {node.op_type for node in before}
    assert {"Log", "MatMul"} <= kinds
    assert not {kind for kind in kinds if "Quantize" in kind or "Integer" in kind}


def test_static_int8_uses_the_speech_that_it_is_given(experiment, exported, data, tmp_path, capsys):
    command.main([str(experiment), str(tmp_path), "--checkpoint", CHECKPOINT, "--format",
                  "onnx-int8", "--calibrate", str(data), "--utterances", "4"])  # fmt: skip
    assert "model.int8.onnx: " in capsys.readouterr().out
    assert not (tmp_path / "model.onnx").exists()
    static = onnx.load(tmp_path / "model.int8.onnx")
    assert not any(node.op_type == "DynamicQuantizeLinear" for node in static.graph.node)
    wav = read_audio(next(iter(read_data_dir(data).wav.values())))
    (row,), (exact,) = (
        Runtime(path).rows([wav])
        for path in (tmp_path / "model.int8.onnx", exported / "model.onnx")
    )
    assert 0 < np.abs(np.exp(row) - np.exp(exact)).mean() < 0.05


def test_no_files_of_another_model_stay(student_dir, tmp_path):
    ours = [*FILES, "tokens.txt"]
    for name in [*ours, "labels.txt"]:
        (tmp_path / name).write_text("of another model")
    export(student_dir, tmp_path, "onnx", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.txt", "model.onnx"]
    assert Runtime(tmp_path / "model.onnx").metadata.kind == "student"
    (tmp_path / "tokens.txt").write_text("without sherpa.onnx it is not of an export")
    export(student_dir, tmp_path, "onnx-int8", "")
    held = ["labels.txt", "model.int8.onnx", "tokens.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == held
    with pytest.raises(ModelError, match="a student outputs no text"):
        export(student_dir, tmp_path, "sherpa", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == held


def test_a_refused_export_leaves_the_earlier_one(experiment, exported, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(exported, out)
    held = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ModelError, match="cannot be exported as a stream"):
        export(experiment, out, "stream", CHECKPOINT)
    with monkeypatch.context() as patched:
        patched.setattr("espnet_robust.device.export.TOLERANCE", 0.0)
        with pytest.raises(ModelError, match="removed"):
            export(experiment, out, "onnx", CHECKPOINT)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == held
    with pytest.raises(ModelError):
        export(experiment, tmp_path / "new", "stream", CHECKPOINT)
    assert not (tmp_path / "new").exists()


def test_an_export_that_was_killed_leaves_nothing(student_dir, tmp_path):
    (tmp_path / ".export.killed").mkdir()
    (tmp_path / ".export.killed/model.onnx").touch()
    export(student_dir, tmp_path, "onnx-int8", "")
    assert [path.name for path in tmp_path.iterdir()] == ["model.int8.onnx"]


def test_a_disk_full_in_the_middle_is_what_is_said(student_dir, tmp_path, monkeypatch):
    moved = []

    def one_only(self, target):
        if moved:
            raise OSError("No space left on device")
        moved.append(os.rename(self, target))

    monkeypatch.setattr("pathlib.Path.replace", one_only)
    with pytest.raises(OSError, match="No space left"):
        export(student_dir, tmp_path / "new", "all", "")


@pytest.mark.parametrize(
    ("keys", "layers"),
    [
        ({}, "weighted_sum"),
        ({"multilayer_feature": True}, "weighted_sum"),
        ({"multilayer_feature": False}, "last"),
        ({"layer": 1}, 1),
    ],
)
def test_layers_written_as_for_s3prl(experiment, keys, layers):
    """Beside ``layers``, which may have its default."""
    config = yaml.safe_load((experiment / "config.yaml").read_text())
    config["frontend_conf"] |= {"layers": "weighted_sum"} | keys
    features = frames_options(config, experiment)["features"]
    assert features.layers == select_layers(layers, features.speech_model.num_layers)


def test_every_file_that_is_written_is_cleared_later(exported):
    assert {path.name for path in exported.iterdir()} <= {*FILES, "tokens.txt"}


@pytest.mark.parametrize("name", ["model.onnx", "model.int8.onnx"])
def test_not_a_number_is_not_torchs_output(student_dir, tmp_path, monkeypatch, name):
    class Broken(Runtime):
        def run(self, samples, lengths):
            return [np.full_like(super().run(samples, lengths)[0], np.nan)]

    monkeypatch.setattr(
        "espnet_robust.device.export.Runtime",
        lambda path: (Broken if path.name == name else Runtime)(path),
    )
    with pytest.raises(ModelError, match=f"{name}: .* differs from torch's by nan; removed"):
        export(student_dir, tmp_path, "all", "")
    assert not (tmp_path / name).exists()


def test_the_command_offers_every_format():
    assert command.FORMATS == FORMATS


def test_what_is_refused(student_dir, teacher_dirs, experiment, tmp_path, monkeypatch):
    with pytest.raises(
        ModelError, match="neither a student directory nor an ASR or classification"
    ):
        export(tmp_path / "none", tmp_path / "out", "all", "")
    with pytest.raises(ModelError, match="a student outputs no text"):
        export(student_dir, tmp_path / "out", "sherpa", "")
    monkeypatch.setattr("espnet_robust.device.export.TOLERANCE", 0.0)
    with pytest.raises(ModelError, match="differs from torch's by .*; removed"):
        export(student_dir, tmp_path / "out", "onnx", "")
    assert not list((tmp_path / "out").glob("*.onnx"))
