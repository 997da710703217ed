"""Two processes on the CPU train as one does."""

import csv
import subprocess
import sys

import pytest
import torch

NO_DROPOUT = {
    "init": "convolutions",
    "overrides": dict.fromkeys(
        ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout"), 0.0
    ),
}
# Plain descent: an adaptive optimizer would blow up differences of rounding.
SGD = {
    "optim": "sgd",
    "optim_conf": {"lr": 0.1},
    "student_conf": NO_DROPOUT,
    "max_epoch": 2,
    "batch_type": "numel",
    "batch_bins": 60000,
    "min_batch_size": 2,  # what ESPnet takes for two processes: the same batches for one
}
VARIANTS = {
    "none": {"dat": "none"},
    "reversal": {"dat": "reversal", "dat_conf": {"ramp": 0.0, "weight": 0.5}, "ema": 0.9},
    "alternating": {"dat": "alternating", "dat_conf": {"ramp": 0.0, "weight": 0.5}},
    "pairs": {"dat": "pairs", "dat_conf": {"ramp": 0.0, "weight": 0.2, "ridge": 1.0}},
    "mmd": {"dat": "mmd", "dat_conf": {"ramp": 0.0, "weight": 1.0}},
    "statistics": {"target_norm": "statistics", "student_mask_prob": 0.2, "dat": "none"},
}


def losses(out) -> list[float]:
    with (out / "curves.csv").open() as f:
        return [float(row["loss"]) for row in csv.DictReader(f)]


@pytest.mark.recipe
@pytest.mark.parametrize("name", VARIANTS)
def test_two_processes_train_as_one(name, command, train, tmp_path, weights):
    options = SGD | VARIANTS[name]
    one = train(tmp_path / "one", **options)
    two = tmp_path / "two"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launch += ["--nproc_per_node", "2", "-m", "espnet_robust.bin.distill_train"]
    done = subprocess.run(
        [*launch, "--dist_backend", "gloo", "--ngpu", "0", *command(two, **options)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert losses(two) == pytest.approx(losses(one), rel=1e-4)
    first, second = weights(one, 2), weights(two, 2)
    assert first.keys() == second.keys()
    for key, value in first.items():
        torch.testing.assert_close(second[key], value, atol=1e-5, rtol=1e-3, msg=key)


@pytest.mark.recipe
def test_fewer_utterances_than_processes_is_one_line(command, tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launch += ["--nproc_per_node", "2", "-m", "espnet_robust.bin.distill_train"]
    done = subprocess.run(
        [*launch, "--dist_backend", "gloo", "--ngpu", "0", *command(tmp_path / "x", batch_size=1)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors and "batches of train: The batch-size must be equal or more" in errors[0]
