"""Resuming, exactly, whenever an earlier run ended."""

import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from espnet_robust.common.saving import BACKUP, CHECKPOINT, Saving
from espnet_robust.distill.trainer import DistillTrainer


class Killed(BaseException):
    """What kills a run in the middle; nobody catches it."""


def test_resumed_equals_uninterrupted(train, straight, tmp_path, monkeypatch, assert_same_weights):
    out = tmp_path / "resumed"
    validate = DistillTrainer.validate_one_epoch

    def killed_in_epoch_2(*args, **kwargs):
        if kwargs["reporter"].epoch == 2:
            raise Killed
        return validate(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(DistillTrainer, "validate_one_epoch", killed_in_epoch_2)
        with pytest.raises(Killed):
            train(out, keep_nbest_models=3)
    assert (out / "1epoch.pth").exists() and not (out / "2epoch.pth").exists()
    train(out, keep_nbest_models=3)
    assert_same_weights(out, straight)


def half_saved(state, path, save=torch.save):
    save(state, path)
    with open(path, "r+b") as f:
        f.truncate(os.path.getsize(path) // 2)
    raise Killed


def die_at(count: int, patch: pytest.MonkeyPatch) -> None:
    """Raise Killed at the ``count``-th change of a file after the first epoch was trained: before
    it, or, of what torch writes, half way through it."""
    left = [count]

    def dying(function, then=None):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] < 0:
                if then is not None:
                    then(*args)
                raise Killed
            return function(*args, **kwargs)

        return call

    train_one_epoch = DistillTrainer.train_one_epoch

    def begin(*args, **kwargs):
        if kwargs["reporter"].epoch == 2:
            patch.setattr(torch, "save", dying(torch.save, half_saved))
            patch.setattr(os, "replace", dying(os.replace))
            for name in ("unlink", "symlink_to", "touch"):
                patch.setattr(pathlib.Path, name, dying(getattr(pathlib.Path, name)))
        return train_one_epoch(*args, **kwargs)

    patch.setattr(DistillTrainer, "train_one_epoch", begin)


def files(out: pathlib.Path) -> dict[str, str | None]:
    """{name: target of the link} of the models of an experiment."""
    return {
        path.name: os.readlink(path) if path.is_symlink() else None
        for path in sorted(out.glob("*.pth"))
    }


def test_killed_at_any_change_of_a_file(train, tmp_path, monkeypatch, assert_same_weights):
    options = {"keep_nbest_models": 1, "batch_size": 12}
    whole = train(tmp_path / "whole", **options)
    for count in range(100):
        out = tmp_path / str(count)
        with monkeypatch.context() as patch:
            die_at(count, patch)
            try:
                train(out, **options)
                break
            except Killed:
                pass
        train(out, **options)
        assert_same_weights(out, whole)
        assert files(out) == files(whole), count
        checkpoints = [torch.load(e / CHECKPOINT, weights_only=False) for e in (out, whole)]
        assert checkpoints[0]["reporter"]["epoch"] == checkpoints[1]["reporter"]["epoch"] == 3
    # Epochs 2 and 3 have two rows of curves, a backup made and removed, a checkpoint, a model and
    # links each.
    assert 15 < count < 99


def test_saving_takes_back_what_it_did_not_end(tmp_path):
    saving = Saving(tmp_path)
    saving.undo()
    assert not list(tmp_path.iterdir())
    saving.begin()  # the first epoch
    saving.checkpoint.write_text("half")
    saving.undo()
    assert not list(tmp_path.iterdir())
    saving.begin()
    saving.checkpoint.write_text("1")
    saving.end()
    saving.begin()
    saving.checkpoint.write_text("half")
    saving.undo()
    assert saving.checkpoint.read_text() == "1" and not (tmp_path / BACKUP).exists()


@pytest.mark.recipe
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_killed_by_the_system_at_three_points(
    command, train, tmp_path, workers, assert_same_weights
):
    options = {
        "batch_size": 1,
        "max_epoch": 4,
        "log_interval": 1,
        "num_workers": workers,
        "keep_nbest_models": 4,
        "ema": 0.9,
    }
    whole = train(tmp_path / "whole", **options)
    out = tmp_path / "killed"
    start = [sys.executable, "-m", "espnet_robust.bin.distill_train", *command(out, **options)]
    rng = np.random.default_rng(workers)
    for _ in range(3):
        # Into the epoch that it starts with or the one after that.
        steps, delay = int(rng.integers(1, 20)), float(rng.uniform(0, 0.05))
        process = subprocess.Popen(start, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            steps -= "epoch:train:" in line
            if steps == 0:
                break
        time.sleep(delay)
        process.kill()
        process.stderr.close()
        assert process.wait() == -9, "it ended before it was killed"
    subprocess.run(start, check=True, capture_output=True)
    for epoch in (1, 2, 3, 4):
        assert_same_weights(out, whole, epoch)
    assert files(out) == files(whole)
