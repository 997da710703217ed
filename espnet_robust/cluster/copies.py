"""Make distorted copies with many jobs: each makes a range of shards, the submitter joins them.

A shard does not depend on the job that makes it, so a copy has the same bytes as one made by a
single process.
"""

import sys
from collections.abc import Callable, Mapping, Sequence

from espnet_robust.cluster.running import Stage, describe, run_jobs, wait_for_earlier
from espnet_robust.common.errors import UserError
from espnet_robust.distortion import copies
from espnet_robust.distortion.copies.make import Todo, copy_changes, wanted_record
from espnet_robust.distortion.copies.source import check_source


def make_copies(jobs: Sequence[copies.Job], stage: Stage) -> None:
    """Make copies, or their missing parts, with jobs of a cluster.

    Raises:
        UserError: as for ``distort_data_dir``.
        JobError: a job failed repeatedly.
    """
    names = {job.dst.name for job in jobs}
    # Those of a process that was killed still write where this one would begin anew.
    wait_for_earlier(stage, stage.executor(), lambda name: name.rpartition(".")[0] in names)
    copies.run_jobs(jobs, lambda todo: run_jobs(stage, commands(todo, stage.cluster.array)))


def describe_copies(jobs: Callable[[], Sequence[copies.Job]], stage: Stage) -> str:
    """What ``make_copies`` would submit, as far as data, noises and rooms are there."""
    try:
        todo = [
            (job, check_source(job.src, allow_pipe=job.allow_pipe))
            for job in jobs()
            if copy_changes(job, wanted_record(job))
        ]
    except UserError as e:
        return f"{stage.title}: known when the stages before are done: {' '.join(str(e).split())}"
    return describe(stage, commands(todo, stage.cluster.array))


def commands(todo: Sequence[Todo], array: int) -> Mapping[str, Sequence[str]]:
    """{name: command} of the jobs that make the missing shards of these copies.

    Args:
        array: approximate number of jobs; each copy has at least one.
    """
    found = {}
    for job, total in todo:
        shards = -(-total // copies.SHARD)
        number = -(-shards // max(1, array // len(todo)))
        missing = copies.missing_shards(job)
        for first in sorted({shard // number * number for shard in missing}):
            found[f"{job.dst.name}.{first}"] = _command(job, first, number)
    return found


def _command(job: copies.Job, first: int, number: int) -> Sequence[str]:
    command = [sys.executable, "-m", "espnet_robust.bin.make_shards"]
    command += ["--first", str(first), "--number", str(number)]
    pipe = ["--allow_pipe"] if job.allow_pipe else []
    return [*command, *pipe, str(job.src), str(job.dst)]
