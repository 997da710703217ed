import json

import pytest

from espnet_robust.bin.split_conditions import main
from espnet_robust.data.data_dir import read_data_dir, write_data_dir
from espnet_robust.errors import DataDirError


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
