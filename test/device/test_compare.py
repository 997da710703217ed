import json
import shutil

import pytest

from espnet_robust.bin import compare_exports as command
from espnet_robust.common.errors import DataDirError
from espnet_robust.device.compare import compare, markdown, some_utterances


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
    assert [len(some_utterances(dirs, n)) for n in (1, 4, 5, 100)] == [1, 4, 5, 12]
    assert some_utterances([], 4) == []


def test_without_text_there_is_nothing_to_compare_with(exported, conditions):
    (conditions["noise"] / "text").unlink()
    with pytest.raises(DataDirError, match="no text to compare with"):
        compare([exported / "model.onnx"], conditions, 1)
