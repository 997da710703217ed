import json
import shutil
import types

import numpy as np
import pytest
import soundfile
import yaml

from espnet_robust.bin import compare_exports as command
from espnet_robust.bin import export as export_command
from espnet_robust.common.errors import AudioError, DataDirError
from espnet_robust.data.fix import fix_data_dir
from espnet_robust.device import measure
from espnet_robust.device.compare import compare, markdown, some_utterances
from espnet_robust.device.export import export, source_rate
from espnet_robust.device.metadata import Metadata
from espnet_robust.device.runtime import Runtime


@pytest.fixture
def conditions(data, tmp_path):
    shutil.copytree(data, tmp_path / "test")
    shutil.copytree(data, tmp_path / "test_noise")
    (tmp_path / "test_noise/condition.json").write_text('{"name": "noise"}')
    return {"clean": tmp_path / "test", "noise": tmp_path / "test_noise"}


def test_word_errors_of_each_file_on_each_condition(exported, conditions):
    text = conditions["noise"] / "text"
    text.write_text(text.read_text().replace("A", "B"))
    files = [exported / "model.onnx", exported / "model.int8.onnx"]
    fp32, int8 = compare(files, conditions, 1)
    assert fp32.wer["noise"] > fp32.wer["clean"]
    assert fp32.distorted == fp32.wer["noise"]
    assert fp32.same == 1 and int8.same <= 1
    table = markdown([fp32, int8]).splitlines()
    assert table[0] == "| WER, % | model.onnx | model.int8.onnx |"
    assert table[2].startswith(f"| clean | {fp32.wer['clean']:.2f} | ")


def test_the_command_finds_conditions_and_writes_json(exported, conditions, tmp_path, capsys):
    command.main([str(exported / "model.onnx"), "--test_set", str(conditions["clean"]),
                  "--json", str(tmp_path / "out.json")])  # fmt: skip
    assert "| mean, distorted |" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert sorted(row["wer"]) == ["clean", "noise"]


def test_calibration_is_spread_over_data_dirs(conditions):
    dirs = list(conditions.values())
    assert [len(some_utterances(dirs, n, 16000)) for n in (1, 4, 5, 100)] == [1, 4, 5, 12]
    assert some_utterances([], 4, 16000) == {}


def test_models_hear_their_own_rate(conditions, data, tmp_path, student_dir, monkeypatch):
    halves = [n // 2 for n in map(len, some_utterances([data], 6, 16000).values())]
    assert [len(wav) for wav in some_utterances([data], 6, 8000).values()] == halves

    heard: list[int] = []

    class Eight:
        metadata = Metadata("recogniser", 8000, 320, 200, pieces=["<blank>"])

        def rows(self, wavs):
            heard.extend(map(len, wavs))
            return [np.zeros((1, 1), np.float32)]

    monkeypatch.setattr("espnet_robust.device.runtime.recogniser", lambda path, threads: Eight())
    (tmp_path / "model.onnx").write_bytes(b"")
    compare([tmp_path / "model.onnx"], {"clean": conditions["clean"]}, 1)
    assert heard == halves
    monkeypatch.setattr(
        measure, "_onnx", lambda path, threads: (lambda w: heard.append(len(w)), 8000)
    )
    measure.measure(tmp_path / "model.onnx", 1, [0.5, 1.0], 1)
    assert set(heard[len(halves) :]) == {4000, 8000}


def test_the_rate_of_a_student_or_an_experiment(student_dir, experiment, tmp_path):
    assert source_rate(student_dir) == source_rate(experiment) == 16000
    config = yaml.safe_load((student_dir / "config.yaml").read_text()) | {"rate": 8000}
    conf = {"student": {"path": str(tmp_path / "student")}}
    for name, content in (
        ("student", config),
        ("untrained", {"frontend_conf": conf}),
        ("trained", {"frontend_conf": {"student": conf["student"] | {"arch": {"rate": 8000}}}}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(yaml.safe_dump(content))
        assert source_rate(tmp_path / name) == 8000


@pytest.mark.parametrize("number", ["0", "-1"])
def test_calibration_needs_an_utterance(experiment, data, tmp_path, capsys, number):
    with pytest.raises(SystemExit):
        export_command.main([str(experiment), str(tmp_path / "out"), "--calibrate", str(data),
                             "--utterances", number])  # fmt: skip
    assert "--utterances: need at least 1" in capsys.readouterr().err


@pytest.fixture
def student_onnx(student_dir, tmp_path):
    export(student_dir, tmp_path / "exported", "onnx", "")
    return tmp_path / "exported/model.onnx"


TOO_SHORT = "u2: 200 samples, shorter than one frame (400); delete its line in utt2spk, then: "


def shorten(data_dir):
    """Make u2 shorter than a frame."""
    soundfile.write(data_dir / "u2.wav", np.full(200, 0.1), 16000)
    lines = (data_dir / "wav.scp").read_text().splitlines()
    lines[2] = f"u2 {data_dir}/u2.wav"
    (data_dir / "wav.scp").write_text("\n".join(lines) + "\n")


def test_an_utterance_shorter_than_a_frame(conditions, student_onnx, monkeypatch):
    noise = conditions["noise"]
    shorten(noise)
    heard = []
    runtime = Runtime(student_onnx)
    model = types.SimpleNamespace(
        metadata=Metadata("recogniser", 16000, 320, 400, pieces=["<blank>"]),
        rows=lambda wavs: heard.extend(runtime.rows(wavs)) or [np.zeros((1, 1), np.float32)],
    )
    monkeypatch.setattr("espnet_robust.device.runtime.recogniser", lambda path, threads: model)
    with pytest.raises(AudioError) as refusal:
        compare([student_onnx], conditions, 1)
    assert str(refusal.value).startswith(f"{noise}: {TOO_SHORT}") and not heard
    lines = (noise / "utt2spk").read_text().splitlines(keepends=True)
    (noise / "utt2spk").write_text("".join(line for line in lines if not line.startswith("u2")))
    fix_data_dir(noise)
    compare([student_onnx], conditions, 1)
    assert len(heard) == 6 + 5


def test_calibration_on_an_utterance_shorter_than_a_frame(conditions, student_dir, tmp_path):
    shorten(conditions["noise"])
    wanted = ["--calibrate", str(conditions["noise"]), "--utterances", "100"]
    with pytest.raises(AudioError) as refusal:
        export_command.main([str(student_dir), str(tmp_path / "out"), *wanted])
    assert str(refusal.value).startswith(f"{conditions['noise']}: {TOO_SHORT}")
    assert not (tmp_path / "out").exists()


def test_without_text_there_is_nothing_to_compare_with(exported, conditions):
    (conditions["noise"] / "text").unlink()
    with pytest.raises(DataDirError, match="no text to compare with"):
        compare([exported / "model.onnx"], conditions, 1)
