import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_robust.common.errors import ConfigError, DataDirError, UserError
from espnet_robust.data.audio import write_audio
from espnet_robust.data.conditions import (
    CLEAN,
    Condition,
    by_test_set,
    check_name,
    condition_dirs,
    keep_condition,
    read_condition,
    write_condition,
)
from espnet_robust.data.data_dir import write_data_dir
from espnet_robust.distortion.copies import FORMATS, distort_data_dir


def test_written_and_read(tmp_path):
    assert read_condition(tmp_path) == Condition(CLEAN)
    for condition in (Condition("noise_snr-5", -5), Condition("real_bus")):
        keep_condition(tmp_path, condition)
        assert read_condition(tmp_path) == condition
    before = (tmp_path / "condition.json").stat().st_mtime_ns
    keep_condition(tmp_path, condition)
    assert (tmp_path / "condition.json").stat().st_mtime_ns == before
    (tmp_path / "condition.json").write_text("[]")
    keep_condition(tmp_path, condition)
    assert read_condition(tmp_path) == condition


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "condition.json: None cannot name a condition"),
        ('{"name": "../../up"}', "condition.json: '../../up' cannot name a condition"),
        ('{"name": "/up"}', "cannot name a condition"),
        ('{"name": ".."}', "cannot name a condition"),
        ('{"name": ["a"]}', "cannot name a condition"),
        ('{"name": "a", "snr_db": "5"}', "condition.json: snr_db must be a number or null"),
        ('{"name": "a", "snr_db": true}', "snr_db must be a number or null"),
        ("[]", "expected a JSON object"),
        ("{", "not JSON"),
    ],
)
def test_refused_files(tmp_path, content, message):
    (tmp_path / "condition.json").write_text(content)
    with pytest.raises(UserError, match=message):
        read_condition(tmp_path)


@given(st.text())
def test_a_name_is_one_part_of_a_path(tmp_path_factory, name):
    try:
        check_name(name, "here")
    except ConfigError:
        return
    path = tmp_path_factory.getbasetemp() / name
    assert path.parent == tmp_path_factory.getbasetemp() and not name.startswith((".", "-"))
    assert path.name == name and not set(name) & set(" \n\t/\0'\"$`\\*?[;&|<>#")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("lost", [["condition.json"], ["condition.json", "utt2distortion"]])
def test_distorted_speech_without_condition_is_refused(tmp_path, follow, format, lost):
    """As Kaldi's subset_data_dir.sh leaves it, which copies neither file."""
    write_audio(tmp_path / "a.wav", np.zeros(160, np.float32))
    write_data_dir(tmp_path / "test", {"wav.scp": {"a": str(tmp_path / "a.wav")}})
    made, cut = tmp_path / "test_noise", tmp_path / "a subset"
    distort_data_dir(tmp_path / "test", made, {"chain": ["clip"]}, seed=0, format=format)
    shutil.copytree(made, cut, ignore=shutil.ignore_patterns("audio", *lost))
    with pytest.raises(UserError, match="distorted speech without condition.json") as e:
        read_condition(cut)
    follow(e.value)
    assert read_condition(cut) == Condition("noise")
    # The copy is gone: the name is for the user to know.
    (cut / "condition.json").unlink()
    shutil.rmtree(made)
    if "utt2distortion" not in lost:
        with pytest.raises(UserError, match="distorted speech without condition.json") as e:
            read_condition(cut)
        follow(e.value)
        assert json.loads((cut / "condition.json").read_text()) == {"name": "NAME"}
        assert read_condition(cut) == Condition("NAME")


def test_a_condition_is_written_whole(tmp_path):
    write_condition(tmp_path, Condition("a", 2.5))
    assert [f.name for f in tmp_path.iterdir()] == ["condition.json"]


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


def test_a_test_set_whose_name_ends_in_clean(tmp_path):
    names = {"test_clean": None, "test_clean_noise": "noise", "test": None}
    clean, noise, test = data_dirs(tmp_path, names)
    assert by_test_set([clean, noise, test]) == {
        "test_clean": {"clean": clean, "noise": noise},
        "test": {"clean": test},
    }


def test_a_missing_test_set(tmp_path):
    with pytest.raises(UserError, match="no such data dir"):
        by_test_set([tmp_path / "test"])


def test_two_data_dirs_of_one_test_set_and_condition(tmp_path):
    """Their outputs would have the same name, so one of them would be left out."""
    for folder in "xy":
        (tmp_path / folder).mkdir()
    x, y = (data_dirs(tmp_path / f, {"test": None, "test_noise": "noise"}) for f in "xy")
    for one, other, condition in ((x[0], y[0], "clean"), (x[1], y[1], "noise")):
        said = f"^{one} and {other} are both condition '{condition}' of a test set 'test'; rename"
        with pytest.raises(UserError, match=said):
            by_test_set([one, other])
    # Named twice, it is still one data dir.
    assert by_test_set([x[0], tmp_path / "y/../x/test"]) == {"test": {"clean": x[0]}}


def test_conditions_of_a_test_set_and_of_no_other(tmp_path):
    names = {"test": None, "test_noise": "noise", "test_other": None, "test_other_noise": "noise"}
    dirs = data_dirs(tmp_path, names)
    for path in dirs:
        (path / "wav.scp").write_text("a a.wav\n")
    assert condition_dirs(tmp_path / "test") == dirs[:2]
    assert condition_dirs(tmp_path / "test_other") == dirs[2:]
    with pytest.raises(DataDirError, match="no test set .*dev; has stage 1 been run"):
        condition_dirs(tmp_path / "dev")


def test_recorded_conditions_need_no_undistorted_set(tmp_path):
    dirs = data_dirs(tmp_path, {"test_real_bus": "real_bus", "test_real_caf": "real_caf"})
    assert condition_dirs(tmp_path / "test") == dirs


def test_a_distorted_set_without_condition_is_not_left_out(tmp_path):
    dirs = data_dirs(tmp_path, {"test": None, "test_noise": None})
    for path in dirs:
        (path / "wav.scp").write_text("a a.wav\n")
    assert condition_dirs(tmp_path / "test") == dirs[:1]
    (dirs[1] / "utt2distortion").write_text("a {}\n")
    with pytest.raises(UserError, match="test_noise: distorted speech without condition.json"):
        condition_dirs(tmp_path / "test")
