"""Jobs run to their end, here on the local executor: tried again, named, waited for."""

import os
import signal
import time

import pytest

from espnet_robust.cluster import executors
from espnet_robust.cluster.config import Cluster
from espnet_robust.cluster.executors import Local, Slurm
from espnet_robust.cluster.running import Stage, describe, run_jobs
from espnet_robust.common.errors import JobError


@pytest.fixture
def stage(tmp_path):
    """stage(**options of the cluster) -> a stage on the local executor."""

    def stage(**options) -> Stage:
        return Stage("test", Cluster("local", **options), tmp_path / "jobs")

    return stage


def bash(script: str) -> list[str]:
    return ["bash", "-c", script]


def test_each_job_runs_once_and_has_a_log(stage, tmp_path, capsys):
    names = [f"job{n}" for n in range(4)]
    commands = {
        name: bash(f"echo {name} >>{tmp_path}/ran; echo 'said by {name}'") for name in names
    }
    run_jobs(stage(array=2), commands)
    assert sorted((tmp_path / "ran").read_text().split()) == names
    for name in names:
        header, said = (tmp_path / "jobs" / f"{name}.log").read_text().splitlines()
        assert header.startswith("# ") and said == f"said by {name}"
    assert "[test] 4 done, 0 running" in capsys.readouterr().err


def test_what_fails_is_tried_again(stage, tmp_path, capsys):
    command = bash(f"echo x >>{tmp_path}/tries; [ $(wc -l <{tmp_path}/tries) = 3 ] || exit 5")
    run_jobs(stage(retries=2), {"often": command})
    assert (tmp_path / "tries").read_text() == "x\n" * 3
    assert capsys.readouterr().err.count("often failed, and is tried again: exit status 5") == 2


def test_what_fails_for_good_is_named_with_its_log(stage, tmp_path):
    commands = {"good": bash(f"sleep 1; touch {tmp_path}/good")}
    commands["bad"] = bash(f"echo 'error: no such thing' >&2; echo x >>{tmp_path}/tries; exit 1")
    with pytest.raises(JobError) as e:
        run_jobs(stage(retries=1), commands)
    log = tmp_path / "jobs/bad.log"
    assert str(e.value) == (
        f"test: 1 of 2 jobs failed in each of 2 tries: bad: no such thing; see {log}"
    )
    assert (tmp_path / "good").exists(), "the others end first"
    assert (tmp_path / "tries").read_text() == "x\n" * 2
    assert log.read_text().count("\nerror: no such thing\n") == 2


def test_a_job_whose_process_is_killed_is_tried_again(stage, tmp_path, capsys):
    kill = f"[ -e {tmp_path}/second ] || {{ touch {tmp_path}/second; kill -KILL $PPID; sleep 9; }}"
    run_jobs(stage(), {"killed": bash(kill)})
    assert "killed failed, and is tried again: ended without a word" in capsys.readouterr().err


def test_jobs_of_a_killed_shell_are_waited_for(stage, submit_and_die, alone, tmp_path, capsys):
    script = alone(tmp_path, 2)
    submit_and_die("local", tmp_path / "jobs", script, tmp_path / "here")
    run_jobs(stage(retries=0), {"one": bash(script)})
    assert (tmp_path / "ran").read_text() == "ran\n" * 2  # the second finds its work done
    assert "[test] earlier jobs still run: one" in capsys.readouterr().err


def test_a_job_ends_with_its_process(submit_and_die, tmp_path):
    """Nothing of it goes on, to write beside the one that takes its place."""
    script = f"touch {tmp_path}/begun; echo $PPID >{tmp_path}/pid; sleep 3; touch {tmp_path}/late"
    submit_and_die("local", tmp_path / "jobs", script, tmp_path / "pid")
    while not (pid := (tmp_path / "pid").read_text()):
        time.sleep(0.02)
    os.kill(int(pid), signal.SIGKILL)
    time.sleep(4)
    assert not (tmp_path / "late").exists()


def test_local_has_one_node(tmp_path):
    with pytest.raises(JobError, match="2 nodes: executor local has one"):
        Local(Cluster("local"), tmp_path, "test", 0, 2)


def test_slurm_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JobError, match="no sbatch here"):
        Slurm(Cluster("slurm"), tmp_path, "test", 0, 1)


def test_without_submitit(monkeypatch, stage):
    monkeypatch.setattr(executors, "find_spec", lambda name: None)
    with pytest.raises(JobError, match="--cluster needs submitit; fix: pip install"):
        run_jobs(stage(), {"one": bash("true")})


def test_describe_submits_nothing(stage, tmp_path):
    said = describe(stage(account="speech"), {"one": bash("echo 'a b'")})
    assert said.splitlines() == [
        "test: 1 job to local: account speech, array 16, cpus 1, requeue True, retries 2, "
        "time_min 240, gpus 0, nodes 1",
        """  one: bash -c 'echo '"'"'a b'"'"''""",
    ]
    assert not (tmp_path / "jobs").exists()
