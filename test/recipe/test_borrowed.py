"""Students of other experiments."""

import subprocess
import sys

import pytest

from espnet_robust.common.errors import ModelError
from espnet_robust.recipe.borrowed import borrow_student


@pytest.fixture
def theirs(tmp_path):
    student = tmp_path / "theirs/student"
    student.mkdir(parents=True)
    (student / "model.safetensors").touch()
    return student


def test_a_link_which_may_be_made_again(theirs, tmp_path):
    ours = tmp_path / "ours/cdm1_seed0/student"
    for _ in range(2):
        borrow_student(theirs, ours)
        assert ours.is_symlink() and ours.resolve() == theirs.resolve()


def test_mistakes(theirs, tmp_path):
    with pytest.raises(ModelError, match="empty: no student in it; distil it"):
        borrow_student(tmp_path / "empty", tmp_path / "student")
    ours = tmp_path / "student"
    ours.mkdir()
    with pytest.raises(ModelError, match="was distilled in this experiment; to use other"):
        borrow_student(theirs, ours)


def test_the_command_does_not_wait_for_torch(theirs, tmp_path):
    code = (
        "import sys; from espnet_robust.bin.borrow_student import main; main(sys.argv[1:]);"
        "assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", code, str(theirs), str(tmp_path / "link")]
    subprocess.run(command, check=True)
    assert (tmp_path / "link").is_symlink()
