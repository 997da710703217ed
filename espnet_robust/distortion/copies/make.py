"""Make a distorted copy of a data dir."""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from espnet_robust.common.errors import ConfigError, DataDirError, UserError
from espnet_robust.common.files import sync
from espnet_robust.common.made_of import difference, summary
from espnet_robust.common.processes import locked
from espnet_robust.data.conditions import CLEAN, Condition, check_name, keep_condition
from espnet_robust.data.replacing import refuse_foreign, refuse_source, replace_dir
from espnet_robust.distortion.collection import forget
from espnet_robust.distortion.config import given_config, load_distortion
from espnet_robust.distortion.copies.job import Job
from espnet_robust.distortion.copies.provenance import (
    damage,
    describe,
    read_record,
    write_record,
)
from espnet_robust.distortion.copies.shards import make_shards
from espnet_robust.distortion.copies.source import check_source
from espnet_robust.distortion.copies.tables import write_tables

Todo = tuple[Job, int]  # a copy to be made, and how many utterances its source has


def distort_data_dir(
    src: str | Path,
    dst: str | Path,
    config: str | Path | Mapping,
    *,
    seed: int,
    nj: int = 1,
    format: str = "flac",
    allow_pipe: bool = False,
    hash_audio: bool = False,
    condition: str | None = None,
) -> None:
    """Write a distorted copy of a data dir.

    ``dst`` gets ``wav.scp``, ``utt2dur``, ``utt2num_samples``, ``utt2distortion`` (a JSON record
    per utterance, see ``remake``), ``condition.json`` and every other file of ``src`` that does not
    depend on the audio. An existing copy is kept if it is complete and was made by the same job
    (same config, seed, format, and same files and audio of ``src`` and of the noise).

    Args:
        src: data dir, complete and valid.
        dst: data dir to be written.
        config: see ``load_distortion``.
        seed: for all draws, >= 0.
        nj: number of processes; the result does not depend on it.
        format: "flac" or "wav" files, kaldiio's "ark" or "flac.ark", or "pipe": commands that make
            the audio when they are read.
        allow_pipe: whether commands in ``src/wav.scp`` may be run.
        hash_audio: hash all audio to see whether it changed, whatever its files' sizes and times.
        condition: the copy's name in scoring; None: see ``name_of_copy``.

    Raises:
        UserError: a file of ``src`` is missing or is not usable audio, tables do not agree, the
            config is wrong, or the disk is full. Nothing that looks complete is left.
    """
    src, dst = Path(src), Path(dst)
    distorter, (given, _) = load_distortion(config), given_config(config)
    name = _checked_name(dst, name_of_copy(src, dst) if condition is None else condition)
    what = (distorter, given, Condition(name, single_snr(given)))
    run_job(Job(src, dst, *what, seed, format, allow_pipe, hash_audio), nj=nj)


def name_of_copy(src: Path, dst: Path) -> str:
    """The default condition of a copy: its directory's name, without the source's as prefix.

    >>> name_of_copy(Path("data/test"), Path("data/test_noise")), name_of_copy(Path("a"), Path("b"))
    ('noise', 'b')
    """
    return dst.name.removeprefix(f"{src.name}_") or dst.name


def _checked_name(dst: Path, name: str) -> str:
    if check_name(name, f"{dst}: --condition") == CLEAN:
        raise ConfigError(
            f"{dst}: a distorted copy cannot be the condition {CLEAN!r};"
            " give it another name: --condition NAME"
        )
    return name


def single_snr(config: Mapping) -> float | None:
    """The SNR of a config in dB if it has a single one, else None."""
    snr = config.get("snr_db")
    return snr if isinstance(snr, int | float) else None


def run_job(job: Job, *, nj: int = 1) -> None:
    """Do one job, or the rest of it. See ``distort_data_dir``."""
    run_jobs([job], lambda todo: make_shards(*todo[0], nj))


def run_jobs(jobs: Sequence[Job], make: Callable[[Sequence[Todo]], object]) -> None:
    """Do these jobs, or the rest of them, all their shards at once.

    Args:
        make: called with the unfinished copies; it makes their missing shards.

    Raises:
        UserError: as for ``distort_data_dir``, or raised by ``make``.
    """
    with contextlib.ExitStack() as stack:
        todo = [(job, total) for job in jobs if (total := _begin(job, stack))]
        if todo:
            with _kept([job for job, _ in todo]):
                make(todo)
        for job, total in todo:
            with _kept([job]):
                _finish(job, total)
    for job in jobs:
        keep_condition(job.dst, job.condition)


def _begin(job: Job, stack: contextlib.ExitStack) -> int:
    """Prepare a copy, locked until ``stack`` ends; return its number of utterances, 0 if done."""
    if job.seed < 0:
        raise ConfigError(f"seed {job.seed}: must be at least 0")
    refuse_source(job.dst, [job.src, *job.distorter.data_dirs])
    if read_record(job.dst) is None:
        refuse_foreign(job.dst)
    wanted = wanted_record(job)
    if _is_done(job, wanted):
        return 0
    total = check_source(job.src, allow_pipe=job.allow_pipe)
    stack.enter_context(locked(job.dst.with_name(f".{job.dst.name}.lock"), job.dst))
    with _kept([job]):
        if read_record(job.partial) != wanted:
            shutil.rmtree(job.partial, ignore_errors=True)
        job.partial.mkdir(parents=True, exist_ok=True)
        write_record(job.partial, wanted)
    forget()
    return total


def begun_job(src: Path, dst: Path, *, allow_pipe: bool = False) -> Job:
    """The job of a copy that another process has begun, from its record.

    Args:
        allow_pipe: whether commands in ``src/wav.scp`` may be run. The record cannot allow it.

    Raises:
        DataDirError: no copy of ``src`` is begun there.
    """
    here = dst.with_name(f".{dst.name}.partial")
    record = read_record(here)
    if record is None or record.get("src") != str(src):
        raise DataDirError(f"{here}: no copy of {src} has been begun there")
    config = record["config"]
    condition = Condition(name_of_copy(src, dst), single_snr(config))
    what = (load_distortion(config), config, condition)
    return Job(src, dst, *what, record["seed"], record["format"], allow_pipe)


def wanted_record(job: Job) -> dict:
    """The record of what this job's copy is made of."""
    return describe(
        job.src,
        job.distorter.data_dirs,
        hash_audio=job.hash_audio,
        dst=job.dst,
        config=job.config,
        seed=job.seed,
        format=job.format,
        allow_pipe=job.allow_pipe,
    )


def copy_changes(job: Job, wanted: dict) -> list[str]:
    """The differences between the existing copy and this job; [] if there are none."""
    record = read_record(job.dst)
    if record is None:
        return ["it is not there, or has no record of what it was made of"]
    record.pop("files", None)
    return difference(record, wanted)


def _is_done(job: Job, wanted: dict) -> bool:
    record = read_record(job.dst)
    if record is None:
        return False
    if changes := copy_changes(job, wanted):
        print(f"{job.dst}: made again: {summary(changes)}", file=sys.stderr)
        return False
    wrong = damage(job.dst, record.get("files"))
    if wrong:
        print(f"{job.dst}: made again: {wrong}", file=sys.stderr)
    return not wrong


def _finish(job: Job, total: int) -> None:
    """Finish a copy that has all its shards: write its tables and give it its name."""
    wanted = read_record(job.partial) or {}
    listed, turned_down = write_tables(job, total)
    write_record(job.partial, wanted | {"files": listed})
    shutil.rmtree(job.partial / "parts")
    # The audio was synced shard by shard.
    sync([path for path in job.partial.iterdir() if path.is_file()])
    sync([job.partial])
    replace_dir(job.partial, job.dst)
    if turned_down:
        print(
            f"{job.dst}: {turned_down} of {total} utterances exceeded full scale and were turned"
            " down",
            file=sys.stderr,
        )


@contextlib.contextmanager
def _kept(jobs: Sequence[Job]) -> Iterator[None]:
    """Context whose errors say which parts of these copies are kept."""
    try:
        yield
    except OSError as e:
        message = f"{jobs[0].dst}: cannot be written: {e.strerror}{_what_is_kept(jobs)}"
        raise DataDirError(message) from None
    except UserError as e:
        raise type(e)(f"{e}{_what_is_kept(jobs)}") from None


def _what_is_kept(jobs: Sequence[Job]) -> str:
    kept = []
    for partial in (job.partial for job in jobs):
        parts = partial / "parts"
        if parts.is_dir() and any(parts.iterdir()):
            kept.append(str(partial))
        else:
            shutil.rmtree(partial, ignore_errors=True)
    if not kept:
        return ""
    return f"; finished shards are kept in {', '.join(kept)}; run the same command to resume"
