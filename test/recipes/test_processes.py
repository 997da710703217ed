"""Trainings of a recipe as two processes: the same students, and what becomes of a killed one."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from test.recipes.conftest import FEW, saved

# 50 steps; the teacher of the recipe has no dropout. AdamW divides gradients by their own size, and
# with its usual eps would blow up differences of rounding.
DISTIL = (
    *FEW, "--stage", "5", "--stop_stage", "5", "--systems", "cdm2_dat",
    "--distill_args", "--max_epoch 5 --num_iters_per_epoch 10 --batch_bins 48000 "
    "--keep_nbest_models 5 --optim_conf eps=0.01",
)  # fmt: skip


@pytest.fixture(scope="module")
def distilled(recipe, run):
    """distilled(processes) -> the experiment."""
    made = {}

    def distilled(processes: int) -> Path:
        if processes not in made:
            tag = f"procs{processes}"
            done = run(recipe, *DISTIL, "--tag", tag, "--num_procs", str(processes))
            assert done.returncode == 0, done.stderr[-3000:]
            made[processes] = recipe / f"exp/{tag}/short/cdm2_dat_seed0/distill"
        return made[processes]

    return distilled


def curves(experiment: Path) -> list[dict[str, str]]:
    with (experiment / "curves.csv").open() as f:
        return list(csv.DictReader(f))


@pytest.mark.recipe
def test_two_processes_distil_as_one(distilled):
    one, two = curves(distilled(1)), curves(distilled(2))
    assert len(one) == len(two) == 10
    for a, b in zip(one, two, strict=True):
        for name in ("loss", "distill", "domain_loss", "domain_acc", "domain_probe"):
            assert float(b[name] or 0) == pytest.approx(float(a[name] or 0), rel=1e-5), (name, a, b)


def rank_in(folder: Path, rank: int) -> int | None:
    """The process of that rank that works in a folder."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if not Path(os.readlink(process / "cwd")).is_relative_to(folder):
                continue
            if f"RANK={rank}\0".encode() in (process / "environ").read_bytes():
                return int(process.name)
        except OSError:
            continue  # it has ended, or is another user's
    return None


@pytest.mark.recipe
def test_a_rank_is_killed_and_the_training_goes_on(recipe, run, distilled):
    options = (*DISTIL, "--tag", "killed", "--num_procs", "2")
    experiment = recipe / "exp/killed/short/cdm2_dat_seed0/distill"
    with subprocess.Popen(
        ["./run.sh", *options],
        cwd=recipe,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + 180
        while not saved(experiment, 2):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.05)
        os.kill(rank_in(recipe, 1), signal.SIGKILL)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    errors = [line for line in said.splitlines() if "rank" in line]
    assert len(errors) == 1 and re.fullmatch(
        r"error: \[distill cdm2_dat 0\] rank 1 of 2 on \S+ was killed by SIGKILL; out of memory\?; "
        r"all output in exp/killed/short/cdm2_dat_seed0/distill.log",
        errors[0],
    )
    again = run(recipe, *options)
    assert again.returncode == 0, again.stderr[-3000:]
    log = experiment.with_suffix(".log").read_text()
    assert int(re.search(r"(\d+)/5epoch started", log)[1]) >= 3
    whole = distilled(2)
    for name in ("5epoch.pth", "valid.distill.best.pth"):
        a, b = (torch.load(out / name, weights_only=True) for out in (experiment, whole))
        assert not [key for key in a if not torch.equal(a[key], b[key])]


@pytest.mark.recipe
def test_the_same_command_on_two_nodes_distils_as_two_processes(recipe, run, distilled, free_port):
    options = (*DISTIL, "--tag", "nodes", "--num_nodes", "2", "--nj", "1")
    there = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    with ThreadPoolExecutor(2) as pool:
        nodes = [
            pool.submit(run, recipe, *options, environment=there | {"NODE_RANK": rank})
            for rank in ("0", "1")
        ]
    for node in nodes:
        assert node.result().returncode == 0, node.result().stderr[-3000:]
    experiment = recipe / "exp/nodes/short/cdm2_dat_seed0/distill"
    assert experiment.with_suffix(".node1.log").is_file()
    a, b = (torch.load(out / "5epoch.pth", weights_only=True) for out in (experiment, distilled(2)))
    assert not [key for key in a if not torch.equal(a[key], b[key])]


@pytest.mark.recipe
def test_two_processes_train_a_recogniser_that_decodes(recipe, run, rows):
    done = run(
        recipe, *FEW, "--stage", "5", "--budget", "tiny", "--tag", "tiny2", "--num_procs", "2",
        "--systems", "distilhubert", "--dist_backend", "gloo",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    table = rows(recipe / "exp/tiny2/report", "wer")
    assert {row["system"] for row in table} == {"distilhubert"}
    log = (recipe / "exp/tiny2/tiny/distilhubert_seed0/asr.log").read_text()
    assert f"[{os.uname().nodename.split('.')[0]}:0/2]" in log
