import json

import pytest

from espnet_robust.errors import UserError
from espnet_robust.recognise.decode import by_test_set


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
