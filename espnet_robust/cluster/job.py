"""Run one command on the node of its job."""

import contextlib
import fcntl
import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from espnet_robust.cluster.nodes import meeting_point, srun_command
from espnet_robust.common.ending import RECIPES
from espnet_robust.common.files import write_atomic
from espnet_robust.common.processes import end_with_parent

_TAIL = 4000  # characters of a log that are searched for an error


class JobFailed(Exception):
    """The command of a job ended with an error."""


@dataclass(frozen=True)
class Job:
    """A command that leaves ``NAME.log`` and ``NAME.json``, how it ended, in a folder.

    submitit pickles it, and calls it on the node.

    Args:
        name: unique in the folder.
        command: program and arguments.
        folder: absolute, on a disk that all nodes see.
        attempt: tells this submission of the job from others.
        alone: hold the lock ``NAME.lock`` meanwhile, and end with the recipe's shell; needed if no
            cluster keeps track of jobs.
        nodes: how many of Slurm run the command, each of them once.
    """

    name: str
    command: Sequence[str]
    folder: Path
    attempt: str
    alone: bool = False
    nodes: int = 1

    def __call__(self) -> None:
        """Run the command to its end.

        Raises:
            JobFailed: its exit status is not 0.
        """
        with contextlib.ExitStack() as stack:
            lock = stack.enter_context(self._locked()) if self.alone else None
            with open(log_of(self.folder, self.name), "a", encoding="utf-8") as log:
                begin = log.tell()
                status = self._run(log, lock)
            said = _said(log_of(self.folder, self.name), begin)
            outcome = {"attempt": self.attempt, "status": status, "said": said}
            write_atomic(self.folder / f"{self.name}.json", json.dumps(outcome) + "\n")
        if status:
            raise JobFailed(f"{self.name}: status {status}: {said}")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[IO[str]]:
        path = self.folder / f"{self.name}.lock"
        with open(path, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock

    def _run(self, log: IO[str], lock: IO[str] | None) -> int:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        print(f"# {now} {os.uname().nodename}: {shlex.join(self.command)}", file=log, flush=True)
        env, command = dict(os.environ), list(self.command)
        if self.nodes > 1:
            command = srun_command(command, self.nodes)
            env |= meeting_point(env)
        if lock is None:  # the shell that submitted it may end
            env.pop(RECIPES, None)
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
            preexec_fn=end_with_parent, pass_fds=[lock.fileno()] if lock else [],
        ) as child:  # fmt: skip
            # In place of submitit's, which passes over SIGTERM: a job that is pre-empted, cancelled
            # or out of time has its command end, and save what it saves.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda number, frame: child.send_signal(number))
            return child.wait()


def log_of(folder: Path, name: str) -> Path:
    """The log of a job, with all its attempts."""
    return folder / f"{name}.log"


def outcome_of(job: Job) -> tuple[int, str] | None:
    """(exit status, last line or error) of this attempt; None if it has not ended."""
    try:
        outcome = json.loads((job.folder / f"{job.name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if outcome["attempt"] != job.attempt:
        return None
    return outcome["status"], outcome["said"]


def is_locked(path: Path) -> bool:
    """Whether a job on this machine, or a command it left behind, holds this lock."""
    with open(path) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _said(log: Path, begin: int) -> str:
    """The last error in what a command wrote, else its last line."""
    with open(log, "rb") as f:
        f.seek(max(begin, log.stat().st_size - _TAIL))
        lines = f.read().decode("utf-8", "replace").split("\n")
    lines = [line.strip() for line in lines if line.strip() and not line.startswith("# ")]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return [*lines, *errors][-1] if lines else ""
