"""Two processes on the CPU train as one does."""

import csv
import json
import os
import subprocess
from pathlib import Path

import pytest
import torch

from espnet_robust.common.launch import torchrun_command

GLOO = ("--dist_backend", "gloo", "--ngpu", "0")
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
    "batch_bins": 10000,  # half of the batches are one utterance: the second process has none
}
VARIANTS = {
    "none": {"dat": "none"},
    "reversal": {"dat": "reversal", "dat_conf": {"ramp": 0.0, "weight": 0.5}, "ema": 0.9},
    "alternating": {"dat": "alternating", "dat_conf": {"ramp": 0.0, "weight": 0.5}},
    # Larger batches: the spread of a single utterance is none.
    "pairs": {
        "dat": "pairs",
        "dat_conf": {"ramp": 0.0, "weight": 0.2, "ridge": 1.0},
        "batch_bins": 25000,
    },
    "mmd": {"dat": "mmd", "dat_conf": {"ramp": 0.0, "weight": 1.0}, "batch_bins": 60000},
    "correlation": {"dat": "none", "loss_conf": {"correlation": 1.0}, "optim_conf": {"lr": 0.01}},
    "vicreg": {"dat": "none", "loss_conf": {"vicreg": 1.0, "l1": 1.0}},
    "statistics": {"target_norm": "statistics", "student_mask_prob": 0.2, "dat": "none"},
}


def losses(out) -> list[float]:
    with (out / "curves.csv").open() as f:
        return [float(row["loss"]) for row in csv.DictReader(f)]


@pytest.fixture(scope="module")
def two(command, tmp_path_factory):
    """{variant: its training by two processes}; all of them in the same two."""
    root = tmp_path_factory.mktemp("two")
    outs = {name: root / name for name in VARIANTS}
    lines = [json.dumps([*GLOO, *command(out, **(SGD | VARIANTS[n]))]) for n, out in outs.items()]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    (root / "trainings").write_text("\n".join(lines))
    done = subprocess.run(
        torchrun_command(["train_several", str(root / "trainings")], processes=2),
        env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return outs


@pytest.mark.recipe
@pytest.mark.parametrize("name", VARIANTS)
def test_two_processes_train_as_one(name, two, train, tmp_path, weights):
    one = train(tmp_path / "one", **(SGD | VARIANTS[name]))
    # Gaussian features amplify roundings to 1e-5 or, with oneDNN's products, 5e-5; others stay
    # below 1e-6.
    assert losses(two[name]) == pytest.approx(losses(one), rel=1e-4 if name == "mmd" else 1e-5)
    first, second = weights(one, 2), weights(two[name], 2)
    assert first.keys() == second.keys()
    for key, value in first.items():
        near = 1e-4 if "memory" in key else 1e-5  # features, which add up roundings of weights
        torch.testing.assert_close(
            second[key], value, atol=near, rtol=1e-3, msg=lambda text, key=key: f"{key}: {text}"
        )
