"""Submitters that are killed, and commands that mind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SUBMIT = """
import sys
from pathlib import Path
from espnet_robust.cluster.config import Cluster
from espnet_robust.cluster.running import Stage, run_jobs
executor, folder, script = sys.argv[1:]
run_jobs(Stage("test", Cluster(executor), Path(folder)), {"one": ["bash", "-c", script]})
"""


def _submit_and_die(executor: str, folder, script: str, until) -> None:
    """Submit in a process that is killed as soon as ``until`` exists."""
    command = [sys.executable, "-c", SUBMIT, executor, str(folder), script]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=env) as submitter:
        while not until.exists():
            assert submitter.poll() is None
            time.sleep(0.02)
        submitter.send_signal(signal.SIGKILL)


@pytest.fixture
def submit_and_die():
    return _submit_and_die


@pytest.fixture
def alone():
    """alone(folder, seconds) -> a script that fails if it runs twice at a time."""

    def alone(folder: Path, seconds: int) -> str:
        here = f"{folder}/here"
        return f"mkdir {here} || exit 9; sleep {seconds}; rmdir {here}; echo ran >>{folder}/ran"

    return alone
