import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_robust.data.audio import write_audio
from espnet_robust.data.conditions import (
    CLEAN,
    Condition,
    check_name,
    keep_condition,
    read_condition,
    write_condition,
)
from espnet_robust.data.data_dir import write_data_dir
from espnet_robust.distortion.copies import FORMATS, distort_data_dir
from espnet_robust.errors import ConfigError, UserError


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
