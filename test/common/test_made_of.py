import json
import os
from pathlib import Path

import pytest

from espnet_robust.common.made_of import Output, damage, difference, gives, made_by, sha256, summary


@pytest.fixture
def output(tmp_path):
    """output(lr) made of a configuration with this learning rate."""
    return lambda lr=1, **more: Output(tmp_path / "out", {"config": {"optim": {"lr": lr}}, **more})


def make(output):
    output.begin()
    (output.path / "a.txt").write_text("a")
    output.finish(["a.txt"])


def test_sha256(tmp_path):
    (tmp_path / "a").write_text("x")
    before = sha256(tmp_path / "a")
    (tmp_path / "a").write_text("y")
    os.utime(tmp_path / "a", ns=(1, 1))
    assert len(before) == 64 and sha256(tmp_path / "a") != before
    assert sha256(tmp_path / "none") == "missing"


def test_done_once_finished_and_whole(output):
    assert output().changes() == ["it is not there"] and not output().is_done()
    output().begin()
    assert output().changes() == [] and not output().is_done()
    make(output())
    assert output().is_done() and list(gives(output().path)) == ["a.txt"]
    (output().path / "a.txt").write_text("b")
    assert damage(output().path) == "a.txt was changed after it was written"
    assert not output().is_done()
    (output().path / "a.txt").unlink()
    assert damage(output().path) == "a.txt is missing"
    output().remove()
    assert not output().exists()


def test_it_appears_with_its_record(output, monkeypatch):
    """Another node of a training that looks in between must not find it made of nothing known."""
    seen = []
    rename = Path.rename

    def looking(path, target):
        seen.append((output().exists(), output().changes()))
        rename(path, target)
        seen.append((output().exists(), output().changes()))

    monkeypatch.setattr(Path, "rename", looking)
    output().begin()
    assert seen == [(False, ["it is not there"]), (True, [])]
    assert [path.name for path in output().path.parent.iterdir()] == ["out"]


def test_what_cannot_be_begun_leaves_nothing(output, monkeypatch):
    def full(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr("espnet_robust.common.made_of.write_atomic", full)
    with pytest.raises(OSError, match="the disk is full"):
        output().begin()
    assert not [*output().path.parent.iterdir()]


def test_made_of_something_else(output):
    make(output())
    assert output(2).changes() == ["config optim.lr: 1 -> 2"] and not output(2).is_done()
    assert output(seed=1).changes() == ["seed is new"]


@pytest.mark.parametrize("record", ["{", "[]", '{"done": true}', None])
def test_a_record_that_says_nothing(output, record):
    make(output())
    path = output().path / "made_of.json"
    if record is None:
        path.unlink()  # as an earlier version left it
    else:
        path.write_text(record)
    assert output().changes() and not output().is_done()


def test_difference_names_what_changed():
    sha = "a" * 64
    old = {"config": {"x": {"y": [1]}}, "data/train": {"audio": sha, "segments": sha}, "seed": 0}
    new = {"config": {"x": {"y": [2]}}, "data/train": {"audio": "b" * 64}, "seed": 0, "z": None}
    assert difference(old, new) == [
        "config x.y: [1] -> [2]",
        "data/train audio changed",
        "data/train segments is gone",
        "z is new",
    ]
    assert summary(difference(old, new)).endswith("is gone; and 1 more")
    assert difference(new, json.loads(json.dumps(new))) == []


def test_the_commit_is_recorded(output, root):
    make(output())
    assert bool(made_by(output().path)) == (root / ".git").exists()
