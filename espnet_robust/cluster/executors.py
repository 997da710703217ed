"""Submit jobs through submitit, and find out which of the submitted jobs still exist.

Slurm's controller or the operating system says what is running, never a file: a job may be killed,
pre-empted or restarted at any moment, and the process that submitted it may have ended.
"""

import contextlib
import getpass
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from espnet_robust.cluster.config import Cluster
from espnet_robust.cluster.job import Job, is_locked
from espnet_robust.common.errors import JobError
from espnet_robust.common.files import write_atomic

RUNNING = "RUNNING"
NAMES = "names.json"  # in a batch's folder: the names of its jobs, in the order of the array


class Executor(Protocol):
    """The interface for submitting jobs."""

    alone: bool  # see Job
    patience_s: float  # how long after a job has ended its files may still appear

    def submit(self, jobs: Sequence[Job]) -> None:
        """Start these, at once or as soon as there is room."""

    def live(self) -> dict[str, str] | None:
        """{name: RUNNING, or why it waits} of the jobs of this folder, whoever submitted them.

        None: nobody can tell at the moment.
        """

    def room(self, live: int) -> int:
        """How many jobs may be submitted while ``live`` jobs wait or run."""

    def goes_on(self) -> str:
        """A message: what happens to these jobs if this process ends."""

    def tidy(self) -> None:
        """Remove the files needed for submitting, after everything has succeeded."""


def executor_of(cluster: Cluster, folder: Path, title: str, gpus: int, nodes: int) -> Executor:
    """The executor of jobs of one kind.

    Args:
        cluster: options of that kind.
        folder: for logs and records.
        title: what the cluster calls the jobs.
        gpus: of each node of a job.
        nodes: of a job.
    """
    kind = Slurm if cluster.executor == "slurm" else Local
    return kind(cluster, folder, title, gpus, nodes)


def check_available(executor: str) -> None:
    """Check that jobs can be submitted from here.

    Raises:
        JobError: submitit is not installed, or there is no Slurm.
    """
    if not find_spec("submitit"):
        raise JobError("--cluster needs submitit; fix: pip install -e '.[cluster]'")
    if executor == "slurm" and not shutil.which("sbatch"):
        raise JobError("no sbatch here: --cluster slurm needs a machine that can submit jobs")


class Local:
    """Processes of this machine, ``array`` at a time. They end with the recipe's shell."""

    alone = True
    patience_s = 0.0

    def __init__(self, cluster: Cluster, folder: Path, title: str, gpus: int, nodes: int):
        check_available("local")
        from submitit import LocalExecutor

        if nodes > 1:
            raise JobError(f"{nodes} nodes: executor local has one; take --cluster slurm")
        self.folder, self.array = folder, cluster.array
        self.executor = LocalExecutor(folder / "local" / uuid.uuid4().hex[:12])
        self.executor.update_parameters(
            timeout_min=cluster.time_min, gpus_per_node=gpus, setup=list(cluster.setup)
        )
        self._submitted: dict[str, Any] = {}

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._submitted[job.name] = self.executor.submit(job)

    def live(self) -> dict[str, str]:
        found = {name for name, job in self._submitted.items() if not job.done()}
        found |= {path.stem for path in self.folder.glob("*.lock") if is_locked(path)}
        return dict.fromkeys(found, RUNNING)

    def room(self, live: int) -> int:
        return max(0, self.array - live)

    def goes_on(self) -> str:
        return "jobs end"

    def tidy(self) -> None:
        shutil.rmtree(self.executor.folder)


class Slurm:
    """Job arrays, which continue when the shell that submitted them ends."""

    alone = False
    patience_s = 30.0  # network file systems show a new file after a while

    def __init__(self, cluster: Cluster, folder: Path, title: str, gpus: int, nodes: int):
        check_available("slurm")
        self.folder = folder / "slurm"
        self.title = title
        self.parameters = sbatch_parameters(cluster, gpus, nodes)
        self._batches: list[Path] = []

    def submit(self, jobs: Sequence[Job]) -> None:
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        batch = uuid.uuid4().hex[:12]
        folder = self.folder / batch
        folder.mkdir(parents=True)
        # Written before the jobs exist, so that they are not missed if this process is killed now.
        write_atomic(folder / NAMES, json.dumps([job.name for job in jobs]))
        executor = SlurmExecutor(folder)
        executor.update_parameters(job_name=f"{self.title}.{batch}", **self.parameters)
        try:
            with _outside_jobs():
                executor.submit_array(jobs)
        except (FailedJobError, FailedSubmissionError, OSError) as e:
            shutil.rmtree(folder)
            last = str(e).strip().splitlines()[-1].removeprefix("sbatch: ").removeprefix("error: ")
            raise JobError(f"{self.title}: sbatch: {last}") from None
        self._batches.append(folder)

    def live(self) -> dict[str, str] | None:
        # -r: one line for each job of an array; %K is its place there.
        command = ["squeue", "-h", "-r", f"--user={getpass.getuser()}", "-o", "%j|%K|%T|%r"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:  # the controller does not answer
            return None
        found, known = {}, {}
        for line in done.stdout.splitlines():
            title, place, state, reason = line.rsplit("|", 3)
            batch = title.rpartition(".")[2]
            if batch not in known:
                known[batch] = self._names(batch)
            if names := known[batch]:
                name = names[int(place) if place.isdecimal() else 0]
                why = reason if state == "PENDING" and reason != "None" else state
                found[name] = RUNNING if state == RUNNING else why
        return found

    def _names(self, batch: str) -> Sequence[str]:
        try:
            return json.loads((self.folder / batch / NAMES).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # somebody else's
            return []

    def room(self, live: int) -> int:
        return 1000  # Slurm holds back those beyond `array`, and takes no longer arrays

    def goes_on(self) -> str:
        names = ",".join(f"{self.title}.{folder.name}" for folder in self._batches)
        return f"jobs continue; the same command waits for them, scancel --name={names} ends them"

    def tidy(self) -> None:
        for folder in self._batches:
            shutil.rmtree(folder)


@contextlib.contextmanager
def _outside_jobs() -> Iterator[None]:
    """Context without Slurm's variables, because this process may itself be a job."""
    hidden = {n: v for n, v in os.environ.items() if n.startswith(("SLURM_", "SUBMITIT_"))}
    hidden.pop("SLURM_CONF", None)
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ |= hidden


def sbatch_parameters(cluster: Cluster, gpus: int = 0, nodes: int = 1) -> Mapping[str, Any]:
    """The parameters of submitit's ``SlurmExecutor`` for jobs of one kind."""
    more: dict[str, Any] = {"requeue": True} if cluster.requeue else {"no-requeue": True}
    # To the steps of a job, half a minute before its time is over, as at that time: SIGTERM.
    more |= {"signal": "TERM@30", **cluster.sbatch}
    given: dict[str, Any] = {
        "partition": cluster.partition,
        "account": cluster.account,
        "time": cluster.time_min,
        "mem": None if cluster.mem_gb is None else f"{round(cluster.mem_gb * 1024)}M",
        "nodes": nodes,
        "ntasks_per_node": 1,
        "cpus_per_task": cluster.cpus,
        "gpus_per_node": gpus or None,
        "array_parallelism": cluster.array,
        "setup": list(cluster.setup) or None,
        "additional_parameters": more,
        "stderr_to_stdout": True,
        # The job is what its first node runs; trainings on several nodes call srun themselves.
        "use_srun": False,
    }
    return {key: value for key, value in given.items() if value is not None}
