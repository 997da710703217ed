"""Run a list of jobs to completion, even if some of them fail."""

import shlex
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from espnet_robust.cluster.config import Cluster, shown
from espnet_robust.cluster.executors import RUNNING, Executor, executor_of
from espnet_robust.cluster.job import Job, log_of, outcome_of
from espnet_robust.common.errors import JobError
from espnet_robust.common.messages import say

POLLS_S = (0.2, 15.0)  # how often the executor is asked, first and after a long time
PROGRESS_S = 10.0
_SHOWN = 3  # failed jobs that a message names

Commands = Mapping[str, Sequence[str]]  # {name of the job: its command}


@dataclass(frozen=True)
class Stage:
    """The common settings of a stage's jobs.

    Args:
        title: for messages, and what the cluster calls them.
        cluster: what each is given.
        folder: for logs and outcomes; on a disk that all nodes see.
        gpus, nodes: of a job.
    """

    title: str
    cluster: Cluster
    folder: Path
    gpus: int = 0
    nodes: int = 1

    def executor(self) -> Executor:
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = self.folder.absolute()
        return executor_of(self.cluster, folder, self.title, self.gpus, self.nodes)


def describe(stage: Stage, commands: Commands) -> str:
    """A description of what ``run_jobs`` would submit."""
    given = f"{shown(stage.cluster)}, gpus {stage.gpus}, nodes {stage.nodes}"
    lines = [f"{stage.title}: {_jobs(len(commands))} to {stage.cluster.executor}: {given}"]
    lines += [f"  {name}: {shlex.join(command)}" for name, command in commands.items()]
    return "\n".join(lines)


def submit(stage: Stage, commands: Commands, dry_run: bool) -> None:
    """``run_jobs``, or print what it would submit."""
    if dry_run:
        print(describe(stage, commands))
    else:
        run_jobs(stage, commands)


def run_jobs(stage: Stage, commands: Commands) -> None:
    """Run these jobs to completion. A failed job is submitted again, up to ``retries`` times.

    Jobs with the same names that are still running, submitted by a process that has ended, are
    waited for first. Then all are submitted; a command whose work is done ends at once.

    Raises:
        JobError: some jobs failed repeatedly (raised after all others have ended; the message says
            which, why, and where their logs are), or the cluster refuses the jobs.
    """
    executor = stage.executor()
    wait_for_earlier(stage, executor, lambda name: name in commands)
    say(f"[{stage.title}] {_jobs(len(commands))}, with logs in {stage.folder}/*.log")
    run = _Run(stage, executor, list(commands))
    try:
        while run.waiting or run.running:
            ready = run.waiting[: executor.room(len(run.running))]
            if ready:
                run.submit([_job(stage, name, commands[name], executor) for name in ready])
            run.sleep()
            run.look()
    except KeyboardInterrupt:
        say(f"[{stage.title}] {executor.goes_on()}")
        raise
    if run.failed:
        raise JobError(_failure(stage, run.failed, len(commands)))
    executor.tidy()


def wait_for_earlier(stage: Stage, executor: Executor, ours: Callable[[str], bool]) -> None:
    """Wait until no job is running whose name is one of ``ours``."""
    told, begin = 0.0, time.monotonic()
    while True:
        live = executor.live()
        names = None if live is None else sorted(name for name in live if ours(name))
        if names == []:
            return
        if not told or time.monotonic() - told > 60:
            what = "cannot be asked for" if names is None else f"still run: {' '.join(names[:8])}"
            say(f"[{stage.title}] earlier jobs {what}")
            told = time.monotonic()
        time.sleep(_pause(begin))


def _job(stage: Stage, name: str, command: Sequence[str], executor: Executor) -> Job:
    folder = stage.folder.absolute()
    return Job(name, list(command), folder, uuid4().hex, executor.alone, stage.nodes)


def _pause(begin: float) -> float:
    return min(POLLS_S[1], POLLS_S[0] + 0.05 * (time.monotonic() - begin))


@dataclass
class _Run:
    stage: Stage
    executor: Executor
    waiting: list[str]  # to be submitted
    running: dict[str, Job] = field(default_factory=dict)
    tries: Counter = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    done: int = 0
    _gone: dict[str, float] = field(default_factory=dict)  # when a job without outcome was missed
    _begin: float = field(default_factory=time.monotonic)
    _said: tuple[float, str] = (0.0, "")

    def submit(self, jobs: Sequence[Job]) -> None:
        self.executor.submit(jobs)
        for job in jobs:
            self.waiting.remove(job.name)
            self.running[job.name] = job
            self.tries[job.name] += 1

    def sleep(self) -> None:
        time.sleep(_pause(self._begin))

    def look(self) -> None:
        """Handle the jobs that have ended."""
        live = self.executor.live()
        if live is None:
            self._tell("the cluster does not answer")
            return
        for name, job in list(self.running.items()):
            # A job that waits or runs is not over, whatever it has left: Slurm begins some again.
            if name in live:
                self._gone.pop(name, None)
            elif outcome := outcome_of(job):
                self._ended(name, *outcome)
            elif self._is_lost(name):
                self._ended(name, -1, "ended without a word (killed, out of memory or time?)")
        states = Counter(live[name] for name in self.running if name in live)
        waiting = states.total() - states[RUNNING] + len(self.waiting)
        why = ", ".join(sorted({*states} - {RUNNING, "PENDING"}))
        self._tell(
            f"{self.done} done, {states[RUNNING]} running, {waiting} waiting"
            + (f" ({why})" if why else "")
            + (f", {len(self.failed)} failed" if self.failed else "")
        )

    def _is_lost(self, name: str) -> bool:
        missed = self._gone.setdefault(name, time.monotonic())
        return time.monotonic() - missed >= self.executor.patience_s

    def _ended(self, name: str, status: int, said: str) -> None:
        del self.running[name]
        self._gone.pop(name, None)
        if status == 0:
            self.done += 1
            return
        why = said or f"exit status {status}"
        if self.tries[name] <= self.stage.cluster.retries:
            say(f"[{self.stage.title}] {name} failed, and is tried again: {why}")
            self.waiting.append(name)
        else:
            self.failed[name] = why

    def _tell(self, message: str) -> None:
        when, what = self._said
        over = not self.running and not self.waiting
        if message != what and (over or time.monotonic() - when > PROGRESS_S):
            say(f"[{self.stage.title}] {message}")
            self._said = (time.monotonic(), message)


def _failure(stage: Stage, failed: Mapping[str, str], total: int) -> str:
    logs = {name: log_of(stage.folder, name) for name in failed}
    # Without a log it never began: what the cluster says is in the folder.
    logs = {name: log if log.exists() else stage.folder for name, log in logs.items()}
    shown = [f"{name}: {why}; see {logs[name]}" for name, why in failed.items()]
    more = f"; and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    tries = stage.cluster.retries + 1
    return (
        f"{stage.title}: {len(failed)} of {_jobs(total)} failed"
        f"{f' in each of {tries} tries' if tries > 1 else ''}: {'; '.join(shown[:_SHOWN])}{more}"
    )


def _jobs(number: int) -> str:
    return f"{number} job{'s' if number > 1 else ''}"
