"""What an epoch wrote, taken back or kept, whole."""

import os

import pytest

from espnet_robust.common import saving as module
from espnet_robust.common.saving import BACKUP, CHECKPOINT, Saving


@pytest.fixture
def saving(tmp_path):
    return Saving(tmp_path)


def names(saving):
    return sorted(path.name for path in saving.out.iterdir())


def epoch(saving, number):
    """What ESPnet writes after an epoch that is the best so far."""
    saving.checkpoint.write_text(str(number))
    (saving.out / f"{number}epoch.pth").write_text(str(number))
    best = saving.out / "valid.loss.best.pth"
    best.unlink(missing_ok=True)
    best.symlink_to(f"{number}epoch.pth")


def test_nothing_to_take_back(saving):
    saving.undo()
    saving.end()
    assert not names(saving)


def test_the_first_epoch_is_taken_back(saving):
    saving.begin()
    saving.checkpoint.write_text("half")
    saving.undo()
    assert not names(saving)


def test_a_later_epoch_is_taken_back_with_its_links(saving):
    saving.begin()
    epoch(saving, 1)
    saving.end()
    assert names(saving) == ["1epoch.pth", CHECKPOINT, "valid.loss.best.pth"]
    saving.begin()
    epoch(saving, 2)
    (saving.out / "latest.pth").symlink_to("2epoch.pth")
    saving.undo()
    assert saving.checkpoint.read_text() == "1"
    assert os.readlink(saving.out / "valid.loss.best.pth") == "1epoch.pth"
    assert names(saving) == ["1epoch.pth", "2epoch.pth", CHECKPOINT, "valid.loss.best.pth"]


def test_a_backup_of_an_older_version_has_no_links(saving):
    epoch(saving, 1)
    os.replace(saving.checkpoint, saving.backup)
    saving.undo()
    assert saving.checkpoint.read_text() == "1"


def test_all_is_on_the_disk_before_the_backup_is_gone(saving, monkeypatch):
    synced = []
    epoch(saving, 1)
    saving.begin()
    epoch(saving, 2)

    def sync(paths):
        assert (saving.out / BACKUP).exists()
        synced.extend(path.name for path in paths)

    monkeypatch.setattr(module, "sync", sync)
    saving.end()
    assert {CHECKPOINT, "2epoch.pth", saving.out.name} <= set(synced)
