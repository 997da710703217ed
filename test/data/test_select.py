import json

import pytest

from espnet_robust.bin import combine_data_dirs as combine_command
from espnet_robust.bin import split_conditions as split_command
from espnet_robust.bin import subset_data_dir as subset_command
from espnet_robust.common.errors import ConfigError, DataDirError, UserError
from espnet_robust.data.conditions import CLEAN, Condition, read_condition, write_condition
from espnet_robust.data.data_dir import read_data_dir, write_data_dir
from espnet_robust.data.from_audio import cut_segments
from espnet_robust.data.select import combine_data_dirs, subset_data_dir


def tables(*ids):
    return {
        "wav.scp": {utt: f"audio/{utt}.flac" for utt in ids},
        "text": {utt: f"SAY {utt}".upper() for utt in ids},
        "utt2spk": {utt: utt.partition("-")[0] for utt in ids},
    }


@pytest.fixture
def data(tmp_path):
    return write_data_dir(tmp_path / "data", tables("b-1", "a-2", "a-1"))


def test_subset(tmp_path, data):
    dst = tmp_path / "s"
    assert subset_data_dir(data.path, dst, ids=["b-1", "a-2"]).ids == ["a-2", "b-1"]
    assert subset_data_dir(data.path, dst, first=1).ids == ["a-1"]
    assert read_data_dir(dst).tables["text"] == {"a-1": "SAY A-1"}
    assert (dst / "spk2utt").read_text() == "a a-1\n"
    with pytest.raises(DataDirError, match="no utterances .'c-1'"):
        subset_data_dir(data.path, dst, ids=["c-1"])
    with pytest.raises(DataDirError, match="no utterances to write"):
        subset_data_dir(data.path, dst, first=0)


def test_subset_command(tmp_path, data, capsys):
    dst, ids = tmp_path / "s", tmp_path / "ids"
    subset_command.main(["--first", "2", str(data.path), str(dst)])
    assert read_data_dir(dst).ids == ["a-1", "a-2"]
    ids.write_text("b-1 and what else stands there\n\na-1\n")
    subset_command.main(["--utt_list", str(ids), str(data.path), str(dst)])
    assert read_data_dir(dst).ids == ["a-1", "b-1"]
    assert capsys.readouterr().out.splitlines()[-1] == f"{dst}: 2 utterances"
    with pytest.raises(UserError, match="none: cannot be read"):
        subset_command.main(["--utt_list", str(tmp_path / "none"), str(data.path), str(dst)])


@pytest.mark.parametrize("number", ["0", "-2"])
def test_a_subset_of_nothing(tmp_path, data, number):
    """-2 would be all but the last two."""
    with pytest.raises(UserError, match=f"--first {number}: need a number of utterances of at lea"):
        subset_command.main(["--first", number, str(data.path), str(tmp_path / "s")])
    assert not (tmp_path / "s").exists()


def test_combine(tmp_path, data):
    other = tables("c-1") | {"utt2dur": {"c-1": "1.0"}}
    write_data_dir(tmp_path / "other", other)
    combine_command.main([str(data.path), str(tmp_path / "other"), str(tmp_path / "both")])
    both = read_data_dir(tmp_path / "both")
    assert both.ids == ["a-1", "a-2", "b-1", "c-1"]
    assert sorted(both.tables) == ["text", "utt2spk", "wav.scp"]
    with pytest.raises(DataDirError, match="'a-1' is in both"):
        combine_data_dirs([data.path, data.path], tmp_path / "twice")


def test_a_data_dir_is_not_made_of_itself(tmp_path, data):
    before = (data.path / "wav.scp").read_bytes()
    (tmp_path / "link").symlink_to(data.path)
    other = write_data_dir(tmp_path / "other", tables("c-1")).path
    for dst in (data.path, tmp_path / "link"):
        with pytest.raises(DataDirError, match="cannot replace what it is made of"):
            subset_data_dir(data.path, dst, first=1)
        with pytest.raises(DataDirError, match="cannot replace what it is made of"):
            combine_data_dirs([other, data.path], dst)
        with pytest.raises(DataDirError, match="cannot replace what it is made of"):
            cut_segments(data.path, dst)
    assert (data.path / "wav.scp").read_bytes() == before


def test_the_condition_goes_along(tmp_path, data):
    other = write_data_dir(tmp_path / "other", tables("c-1")).path
    noise = Condition("noise", 5)
    dst = tmp_path / "dst"
    for path in (data.path, other):
        write_condition(path, noise)
    subset_data_dir(data.path, dst, first=1)
    assert read_condition(dst) == noise
    combine_data_dirs([data.path, other], dst)
    assert read_condition(dst) == noise
    (other / "condition.json").unlink()
    combine_data_dirs([data.path, other], dst)
    assert read_condition(dst) == Condition("mixed")
    subset_data_dir(other, dst, first=1)
    assert read_condition(dst) == Condition(CLEAN) and not (dst / "condition.json").exists()


@pytest.fixture
def recorded(tmp_path):
    groups = {"a": "bus", "b": "street", "c": "bus"}
    tables = {"wav.scp": dict.fromkeys(groups, "x.wav"), "text": dict.fromkeys(groups, "HI")}
    write_data_dir(tmp_path / "et05", tables | {"utt2group": groups})
    return tmp_path / "et05"


def test_a_data_dir_for_each_group(recorded, tmp_path, capsys):
    split_command.main(["--name", "real", str(recorded), str(tmp_path / "test")])
    assert capsys.readouterr().out == f"{tmp_path}/test_real_bus\n{tmp_path}/test_real_street\n"
    assert read_data_dir(tmp_path / "test_real_bus").ids == ["a", "c"]
    assert read_data_dir(tmp_path / "test_real_street").ids == ["b"]
    about = json.loads((tmp_path / "test_real_bus/condition.json").read_text())
    assert about == {"name": "real_bus", "snr_db": None}


def test_without_groups(recorded, tmp_path):
    (recorded / "utt2group").unlink()
    with pytest.raises(DataDirError, match="no utt2group in it"):
        split_command.main(["--name", "real", str(recorded), str(tmp_path / "test")])


@pytest.mark.parametrize("group", ["../up", "a/b", "two words", "*"])
def test_groups_that_cannot_name_a_directory(recorded, tmp_path, group):
    (recorded / "utt2group").write_text(f"a bus\nb {group}\nc bus\n")
    with pytest.raises(ConfigError, match="et05/utt2group: .* cannot name a condition"):
        split_command.main(["--name", "real", str(recorded), str(tmp_path / "test")])
    assert [f.name for f in tmp_path.iterdir()] == ["et05"]
