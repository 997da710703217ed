import json
import subprocess
import sys

import pytest

from espnet_robust.bin import bench as command
from espnet_robust.common.errors import ModelError
from espnet_robust.device import bench
from espnet_robust.device.shapes import FULL
from espnet_robust.models.speech_model import load_teacher
from espnet_robust.models.student import StudentConfig, build_student, save_student


def test_a_table_of_every_format(student_dir, tmp_path, capsys):
    command.main([str(student_dir), "--threads", "1", "--seconds", "0.2", "1", "--rounds", "1",
                  "--json", str(tmp_path / "out.json")])  # fmt: skip
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert [row["format"] for row in rows] == list(bench.FORMATS)
    torch, onnx, int8, _ = rows
    assert torch["speed_up_1"] == 1
    for row in rows:
        assert 0 < row["rtf_1"] < 1 and row["first"] > row["load"] > 0
        assert row["mmacs"] > row["front_mmacs"] > 0
    assert onnx["peak_mib"] < torch["peak_mib"]  # there is no torch in that process
    assert int8["mib"] > 0
    out = capsys.readouterr().out
    assert "RTF, 0.2 s" in out and "speed-up, 1 s" in out


def test_convolutions_in_integers_only_where_there_are_some(teacher_dir, tmp_path):
    shape = {"hidden_size": 16, "num_attention_heads": 2, "num_conv_pos_embeddings": 15}
    config = StudentConfig(kind="log_mel", init="random", overrides=shape)
    save_student(build_student(load_teacher(teacher_dir), config), tmp_path / "student", {})
    cases = bench.student_cases("a", tmp_path / "student", tmp_path)
    assert [case.format for case in cases] == ["torch", "onnx", "onnx-int8"]


def test_an_onnx_file_is_measured_without_torch(exported, root):
    code = (
        "import sys; sys.modules['torch'] = None; from pathlib import Path;"
        "from espnet_robust.device.measure import measure;"
        f"print(measure(Path({str(exported / 'model.onnx')!r}), 1, [1.0], 1)['wall'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0 and "'1'" in done.stdout, done.stderr


def test_shapes_are_those_of_the_command():
    assert tuple(FULL) == command.SHAPES


def test_what_is_refused(tmp_path, experiment, student_dir, capsys):
    with pytest.raises(ModelError, match="not a student directory; bench measures encoders"):
        bench.student_cases("a", experiment, tmp_path)
    case = bench.Case("a", "onnx", tmp_path / "none.onnx", 0, 0, 0, 0)
    with pytest.raises(ModelError, match="cannot be measured: .*no such file"):
        bench.bench([case], [1], [1.0], 1)
    for options in ([], [str(student_dir), "--rounds", "0"]):
        with pytest.raises(SystemExit):
            command.main(options)
    assert "need at least 1 thread" in capsys.readouterr().err
