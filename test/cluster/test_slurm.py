"""Jobs on a real Slurm of two nodes."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

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
    with pytest.raises(JobError, match="1 of 2 jobs failed, 2 times each: bad: no such thing; see"):
        run_jobs(stage(retries=1), commands)


def test_jobs_of_a_killed_shell_go_on_and_are_waited_for(
    stage, submit_and_die, alone, tmp_path, capsys
):
    script = alone(tmp_path, 3)
    submit_and_die("slurm", tmp_path / "jobs", script, tmp_path / "here")
    run_jobs(stage(retries=0), {"one": bash(script)})
    assert (tmp_path / "ran").read_text() == "ran\n" * 2
    assert "[test] earlier jobs still run: one" in capsys.readouterr().err


def test_a_pre_empted_job_is_not_over(stage, slurm, tmp_path):
    """Slurm begins it again: nobody else does, though it has left an outcome."""
    script = (
        f"echo $SLURM_RESTART_COUNT >>{tmp_path}/begun; "
        f"[ $(wc -l <{tmp_path}/begun) = 2 ] && exit; sleep 60"
    )

    def pre_empt() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.1)
        (number,) = slurm.run("squeue", "-h", "-o", "%A").split()
        slurm.run("scontrol", "requeue", number)
        while slurm.run("squeue", "-h", "-o", "%T").strip() != "PENDING":
            time.sleep(0.1)
        # Slurm itself would wait for two minutes.
        slurm.run("scontrol", "update", f"JobId={number}", "StartTime=now")

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


def test_a_controller_that_does_not_answer(stage, slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", "/nowhere")
    assert stage().executor().live() is None
