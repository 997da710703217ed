import json

import pytest

from espnet_robust.bin.split_conditions import main
from espnet_robust.data.conditions import by_test_set, condition_dirs
from espnet_robust.data.data_dir import read_data_dir, write_data_dir
from espnet_robust.errors import DataDirError, UserError


@pytest.fixture
def recorded(tmp_path):
    groups = {"a": "bus", "b": "street", "c": "bus"}
    tables = {"wav.scp": dict.fromkeys(groups, "x.wav"), "text": dict.fromkeys(groups, "HI")}
    write_data_dir(tmp_path / "et05", tables | {"utt2group": groups})
    return tmp_path / "et05"


def test_a_data_dir_for_each_group(recorded, tmp_path, capsys):
    main(["--name", "real", str(recorded), str(tmp_path / "test")])
    assert capsys.readouterr().out == f"{tmp_path}/test_real_bus\n{tmp_path}/test_real_street\n"
    assert read_data_dir(tmp_path / "test_real_bus").ids == ["a", "c"]
    assert read_data_dir(tmp_path / "test_real_street").ids == ["b"]
    about = json.loads((tmp_path / "test_real_bus/condition.json").read_text())
    assert about == {"name": "real_bus", "snr_db": None}


def test_without_groups(recorded, tmp_path):
    (recorded / "utt2group").unlink()
    with pytest.raises(DataDirError, match="no utt2group in it"):
        main(["--name", "real", str(recorded), str(tmp_path / "test")])


def data_dirs(root, conditions):
    """{name of a data dir: its condition or None} -> the dirs."""
    for name, condition in conditions.items():
        (root / name).mkdir()
        if condition:
            about = {"name": condition, "snr_db": None}
            (root / name / "condition.json").write_text(json.dumps(about))
    return [root / name for name in conditions]


def test_copies_go_with_their_test_set(tmp_path):
    dirs = data_dirs(
        tmp_path,
        {"test": None, "test_noise": "noise", "test_other": None, "test_other_noise": "noise"},
    )
    assert by_test_set(dirs) == {
        "test": {"clean": dirs[0], "noise": dirs[1]},
        "test_other": {"clean": dirs[2], "noise": dirs[3]},
    }


def test_a_missing_test_set(tmp_path):
    with pytest.raises(UserError, match="no such data dir"):
        by_test_set([tmp_path / "test"])


def test_conditions_of_a_test_set_and_of_no_other(tmp_path):
    names = {"test": None, "test_noise": "noise", "test_other": None, "test_other_noise": "noise"}
    dirs = data_dirs(tmp_path, names)
    for path in dirs:
        (path / "wav.scp").write_text("a a.wav\n")
    assert condition_dirs(tmp_path / "test") == dirs[:2]
    assert condition_dirs(tmp_path / "test_other") == dirs[2:]
    with pytest.raises(DataDirError, match="no test set .*dev; was stage 1 run"):
        condition_dirs(tmp_path / "dev")


def test_recorded_conditions_need_no_undistorted_set(tmp_path):
    dirs = data_dirs(tmp_path, {"test_real_bus": "real_bus", "test_real_caf": "real_caf"})
    assert condition_dirs(tmp_path / "test") == dirs
