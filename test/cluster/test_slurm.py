"""Jobs on a real Slurm of two nodes."""

import os
import re
import shutil
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from espnet_robust.cluster import running
from espnet_robust.cluster.config import Cluster
from espnet_robust.cluster.executors import Slurm
from espnet_robust.cluster.running import Stage, run_jobs
from espnet_robust.common.errors import JobError


def bash(script: str) -> list[str]:
    return ["bash", "-c", script]


@pytest.fixture
def stage(slurm, tmp_path):
    """stage(**options of the cluster) -> a stage on Slurm."""

    def stage(**options) -> Stage:
        return Stage("test", Cluster("slurm", **options), tmp_path / "jobs")

    return stage


def test_an_array_runs_on_both_nodes(stage, tmp_path):
    script = f"echo $SLURM_ARRAY_TASK_ID $SLURMD_NODENAME >>{tmp_path}/ran; sleep 1"
    run_jobs(stage(), {f"job{n}": bash(script) for n in range(4)})
    numbers, nodes = zip(*map(str.split, (tmp_path / "ran").read_text().splitlines()), strict=True)
    assert sorted(numbers) == list("0123") and {*nodes} == {"n-a1", "n-a2"}


def test_failed_and_killed_jobs_are_tried_again_and_named(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(Slurm, "patience_s", 1.0)
    kill = f"[ -e {tmp_path}/second ] || {{ touch {tmp_path}/second; kill -KILL $PPID; sleep 9; }}"
    commands = {"killed": bash(kill), "bad": bash("echo 'error: no such thing' >&2; exit 1")}
    with pytest.raises(JobError, match="1 of 2 jobs failed in each of 2 tries: bad: no such"):
        run_jobs(stage(retries=1), commands)


def test_jobs_of_a_killed_shell_go_on_and_are_waited_for(
    stage, submit_and_die, alone, tmp_path, capsys
):
    script = alone(tmp_path, 3)
    submit_and_die("slurm", tmp_path / "jobs", script, tmp_path / "here")
    run_jobs(stage(retries=0), {"one": bash(script)})
    assert (tmp_path / "ran").read_text() == "ran\n" * 2
    assert "[test] earlier jobs still run: one" in capsys.readouterr().err


def test_ctrl_c_leaves_jobs_and_says_how_to_end_them(stage, slurm, tmp_path, capsys, monkeypatch):
    def look(run):
        if (tmp_path / "begun").exists():
            raise KeyboardInterrupt

    commands = {"one": bash(f"touch {tmp_path}/begun; sleep 60; touch {tmp_path}/late")}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(running._Run, "look", look)
        run_jobs(stage(), commands)
    said = capsys.readouterr().err
    (scancel,) = re.findall("jobs continue; the same command .*, (scancel .*) ends them", said)
    assert stage().executor().live() == {"one": "RUNNING"}
    slurm(*scancel.split())
    running.wait_for_earlier(stage(), stage().executor(), lambda name: name == "one")
    assert not (tmp_path / "late").exists()


def test_a_pre_empted_job_is_not_over(stage, slurm, tmp_path):
    """Slurm begins it again: nobody else does, though it has left an outcome."""
    script = (
        f"echo $SLURM_RESTART_COUNT >>{tmp_path}/begun; "
        f"[ $(wc -l <{tmp_path}/begun) = 2 ] && exit; sleep 60"
    )

    def pre_empt() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.1)
        (number,) = slurm("squeue", "-h", "-o", "%A").split()
        slurm("scontrol", "requeue", number)
        while slurm("squeue", "-h", "-o", "%T").strip() != "PENDING":
            time.sleep(0.1)
        # Slurm itself would wait for two minutes.
        slurm("scontrol", "update", f"JobId={number}", "StartTime=now")

    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(pre_empt)
        run_jobs(stage(retries=0), {"one": bash(script)})
        doing.result()
    assert (tmp_path / "begun").read_text() == "\n1\n"


def test_what_sbatch_refuses(stage):
    with pytest.raises(
        JobError, match="test: sbatch: Batch job submission failed: Invalid partition"
    ):
        run_jobs(stage(partition="none"), {"one": bash("true")})


def test_a_controller_that_does_not_answer_for_a_while(stage, tmp_path, monkeypatch, capsys):
    """Nobody knows then whether the job runs: it is not submitted again."""
    squeue = tmp_path / "bin/squeue"
    squeue.parent.mkdir()
    asked = f"echo x >>{tmp_path}/asked; [ $(wc -l <{tmp_path}/asked) -gt 4 ]"
    squeue.write_text(f'#!/bin/bash\n{asked} && exec {shutil.which("squeue")} "$@"\n')
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{squeue.parent}:{os.environ['PATH']}")
    run_jobs(stage(retries=0), {"one": bash(f"echo ran >>{tmp_path}/ran")})
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert "earlier jobs cannot be asked for" in capsys.readouterr().err


def test_each_node_runs_the_command_and_knows_the_others(stage, tmp_path):
    """Without scontrol, which is not on every node."""
    said = "$SLURM_NODEID $SLURMD_NODENAME $MASTER_ADDR $MASTER_PORT"
    there = replace(stage(setup=[f"export PATH={tmp_path}/bin"]), nodes=2)
    (tmp_path / "bin").mkdir()
    for name in ("bash", "srun"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    run_jobs(there, {"one": bash(f"echo {said} >>{tmp_path}/ran")})
    first, second = sorted(map(str.split, (tmp_path / "ran").read_text().splitlines()))
    assert (first[:2], second[:2]) == (["0", "n-a1"], ["1", "n-a2"])
    # Slurm's names of these nodes are nowhere but there.
    assert first[2:] == second[2:] and first[2] == socket.gethostname()


def test_what_fails_on_one_node_ends_on_all(stage, tmp_path):
    there = replace(stage(retries=0), nodes=2)
    script = f"[ $SLURM_NODEID = 1 ] && exit 3; sleep 60; touch {tmp_path}/late"
    begin = time.monotonic()
    with pytest.raises(JobError, match="1 of 1 job failed: one: "):
        run_jobs(there, {"one": bash(script)})
    assert time.monotonic() - begin < 40 and not (tmp_path / "late").exists()
