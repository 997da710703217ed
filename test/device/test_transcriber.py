"""The transcriber: files as users have them, without torch and without ESPnet."""

import json
import re
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
import soundfile
import soxr

from espnet_robust.bin import transcribe as command
from espnet_robust.common.errors import AudioError, ModelError, UserError
from espnet_robust.device.export import export
from espnet_robust.device.runtime import Runtime, recogniser
from espnet_robust.device.transcriber import log_probs, transcribe


@pytest.fixture(scope="module")
def model(exported):
    return Runtime(exported / "model.onnx")


@pytest.fixture(scope="module")
def speech(data):
    return soundfile.read(data / "u2.wav", dtype="float32")[0]


def text(model, path, notes=None):
    return transcribe(model, path, (notes if notes is not None else []).append)


BLOCK = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "espnet2", "espnet", "scipy", "yaml",
                                  "tqdm", "librosa", "rapidfuzz"):
            raise ImportError(f"{name} is not for devices")
sys.meta_path.insert(0, Refuse())
sys.argv = ["espnet-robust", "transcribe", *sys.argv[1:]]
from espnet_robust.bin.main import main
main()
"""


def test_it_runs_without_torch_and_espnet(root, exported, data, model):
    done = subprocess.run(
        [sys.executable, "-c", BLOCK, exported / "model.onnx", data / "u0.wav", "--json"],
        check=True, capture_output=True, text=True, cwd=root,
    )  # fmt: skip
    found = json.loads(done.stdout)
    expected = text(model, data / "u0.wav")
    assert found["text"] == expected.text
    assert [word["word"] for word in found["words"]] == expected.text.split()
    assert found["seconds"] == 0.8
    assert all(0 <= word["start"] < word["end"] <= 0.82 for word in found["words"])


def closure(names):
    """The packages of these names and what they require, by importlib.metadata."""
    found, todo = {}, list(names)
    while todo:
        name = re.match(r"[\w.-]+", todo.pop())[0]
        if name not in found:
            found[name] = metadata.distribution(name)
            requires = found[name].requires or []
            todo += [one for one in requires if "extra ==" not in one]
    return found


def test_an_environment_of_four_packages_is_enough(root, exported, data, model, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    for package in closure(["onnxruntime", "numpy", "soundfile", "soxr"]).values():
        for top in {file.parts[0] for file in package.files} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(package.locate_file(top))
    (site / "espnet_robust").symlink_to(root / "espnet_robust")
    assert not (site / "torch").exists() and not (site / "yaml").exists()
    done = subprocess.run(
        [sys.executable, "-S", "-m", "espnet_robust", "transcribe", exported / "model.int8.onnx",
         data / "u3.wav"],
        capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(site)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = text(Runtime(exported / "model.int8.onnx"), data / "u3.wav").text
    assert done.stdout == f"{data / 'u3.wav'}\t{expected}\n"


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (48000, 1), (16000, 3)])
def test_any_rate_and_channels_said_once(model, speech, tmp_path, rate, channels):
    wav = soxr.resample(speech, 16000, rate) if rate != 16000 else speech
    soundfile.write(tmp_path / "a.wav", np.stack([wav] * channels, 1), rate)
    notes: list[str] = []
    found = text(model, tmp_path / "a.wav", notes)
    expected = []
    if rate != 16000:
        expected.append(f"resampled from {rate} to 16000 Hz")
    if channels > 1:
        expected.append(f"{channels} channels averaged")
    assert notes == [f"{tmp_path}/a.wav: {', '.join(expected)}"]
    assert found.seconds == pytest.approx(len(speech) / 16000, abs=1e-3)
    if rate > 8000:  # all that the model was trained on is there
        soundfile.write(tmp_path / "b.wav", speech, 16000)
        assert found.text == text(model, tmp_path / "b.wav").text


def test_windows_join_where_one_run_would_be(model, speech):
    wav = np.tile(speech, 40)  # 40 s
    (whole,) = model.rows([wav])
    parts = list(log_probs(model, [wav[:100], wav[100:200000], wav[200000:]], window_s=12))
    assert len(parts) > 3
    joined = np.concatenate(parts)
    assert joined.shape == whole.shape
    # The same frames at the same places: what differs is what a window does not hear.
    assert (joined.argmax(-1) == whole.argmax(-1)).mean() > 0.9


def test_memory_does_not_grow_with_the_file(model):
    blocks = (np.zeros(160000, np.float32) for _ in range(60))  # 10 minutes
    sizes = [len(part) for part in log_probs(model, blocks)]
    assert max(sizes) <= 20 * 25 and sum(sizes) == 600 * 25


def test_one_line_for_each_file_and_a_note_on_stderr(exported, data, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", np.zeros((8000, 2), np.float32), 8000)
    command.main([str(exported / "model.onnx"), str(data / "u1.wav"), str(tmp_path / "a.wav")])
    out, err = capsys.readouterr()
    assert [line.split("\t")[0] for line in out.splitlines()] == [
        str(data / "u1.wav"), str(tmp_path / "a.wav"),
    ]  # fmt: skip
    assert err == f"{tmp_path}/a.wav: resampled from 8000 to 16000 Hz, 2 channels averaged\n"


def files(directory):
    (directory / "empty.wav").touch()
    (directory / "rubbish.wav").write_bytes(bytes(range(256)) * 10)
    soundfile.write(directory / "none.wav", np.zeros(0), 16000)
    soundfile.write(directory / "short.wav", np.zeros(160), 16000)
    soundfile.write(directory / "nan.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.wav", "no such file"),
        ("empty.wav", "empty file"),
        ("rubbish.wav", "not audio"),
        ("none.wav", "no samples"),
        ("short.wav", "10 ms, shorter than one frame \\(25 ms\\)"),
        ("nan.wav", "NaN or infinite"),
    ],
)
def test_audio_that_is_refused(model, tmp_path, name, message):
    files(tmp_path)
    with pytest.raises(AudioError, match=f"{name}: {message}") as refusal:
        text(model, tmp_path / name)
    assert "\n" not in str(refusal.value)


def test_models_that_are_refused(student_dir, tmp_path):
    export(student_dir, tmp_path, "onnx", "")
    with pytest.raises(ModelError, match="holds a student without a recogniser"):
        recogniser(tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="no such file"):
        recogniser(tmp_path / "other.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"rubbish")
    with pytest.raises(ModelError, match="cannot be run as an ONNX model") as refusal:
        recogniser(tmp_path / "bad.onnx")
    assert "\n" not in str(refusal.value)
    import onnx

    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value], [out])
    opset = onnx.helper.make_opsetid("", 18)
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), tmp_path / "o.onnx"
    )
    with pytest.raises(ModelError, match="not written by espnet-robust export"):
        recogniser(tmp_path / "o.onnx")


def test_a_package_that_is_missing(monkeypatch, exported):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="onnxruntime is needed but not installed .*fix: pip"):
        Runtime(exported / "model.onnx")
