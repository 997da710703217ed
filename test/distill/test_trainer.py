"""Resuming, exactly, whenever an earlier run ended."""

import subprocess
import sys
import time

import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.recipe)])
def test_killed_at_any_change_of_a_file(train, tmp_path, kill_everywhere, step):
    points = kill_everywhere(train, tmp_path, step, keep_nbest_models=1, batch_size=12)
    # Epochs 2 and 3 have two rows of curves, a backup made and removed, a checkpoint, a model and
    # links each.
    assert 20 <= points < 99


@pytest.mark.recipe
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_by_the_system_at_three_points(
    command, train, tmp_path, workers, assert_same_weights, models
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
    assert models(out) == models(whole)


@pytest.mark.recipe
def test_power_failure(train, disk, failing_at, monkeypatch, tmp_path, models, weights):
    options = {"keep_nbest_models": 1, "batch_size": 12, "max_epoch": 3}
    whole = train(tmp_path / "whole", **options)
    failing_at(disk, 1)
    train(disk.path / "exp", **options)
    disk.fail()
    monkeypatch.undo()
    assert len(disk.failures) >= 10
    for failure in disk.failures:
        exp = disk.after(failure) / "exp"
        train(exp, **options)
        assert models(exp) == models(whole)
        a, b = weights(exp), weights(whole)
        assert all(torch.equal(a[key], b[key]) for key in b)
