"""Distorted copies of data dirs on disk.

A copy is made in shards of consecutive utterances: each is finished, audio first, before its part
of the tables appears, so a killed run goes on with the first unfinished shard. Everything happens
in ``.NAME.partial`` beside the copy, which takes its name when it is complete. Tables are streamed,
never held: memory does not grow with the corpus.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import kaldiio
import numpy as np
from tqdm import tqdm

from espnet_robust.data import conditions
from espnet_robust.data.audio import (
    RATE,
    audio_info,
    check_audio,
    encode_audio,
    read_audio,
    to_int16,
)
from espnet_robust.data.data_dir import (
    AUDIO_TABLES,
    format_table,
    is_table,
    iter_table,
    refuse_foreign,
    replace_dir,
    spk2utt,
    table_names,
)
from espnet_robust.distortion.chain import Distorter
from espnet_robust.distortion.config import load_distortion, read_yaml
from espnet_robust.distortion.seeding import rng_for
from espnet_robust.errors import AudioError, ConfigError, DataDirError, UserError
from espnet_robust.files import write_atomic

FORMATS = ("flac", "wav", "ark", "flac.ark", "pipe")
PROVENANCE = (
    "distortion.json"  # what a copy was made of; the same job finds it and has nothing to do
)

_ORPHAN_S = 0.2  # how often a worker looks whether its parent still lives
_SHARD = 64  # utterances; fixed, so that arks do not depend on the number of processes
_FILE_NAME = re.compile(r"\w[\w.-]{0,150}", re.ASCII)  # ids that can name a file everywhere
_VERSION = 1  # of the layout and of the sound; part of what makes two jobs the same
_OWN_TABLES = frozenset({"wav.scp", "utt2dur", "utt2num_samples", "utt2distortion"})
# Features of the undistorted audio and descriptions of the copy that the source may itself be.
_NOT_CARRIED = frozenset(
    {"spk2utt", "feats.scp", "cmvn.scp", "vad.scp", PROVENANCE, conditions.FILE}
)


@dataclass(frozen=True)
class Job:
    """One copy to be made.

    Args:
        src: data dir to be distorted.
        dst: data dir to be written; one that is there is replaced.
        distorter: what to do.
        config: what the distorter was read from, for the record.
        seed: of all draws.
        format: one of ``FORMATS``.
        allow_pipe: whether commands in the ``wav.scp`` of ``src`` may be run.
    """

    src: Path
    dst: Path
    distorter: Distorter
    config: Any
    seed: int
    format: str = "flac"
    allow_pipe: bool = False

    @property
    def partial(self) -> Path:
        """Where the copy grows."""
        return self.dst.with_name(f".{self.dst.name}.partial")


Row = tuple[str, str]  # utterance id, entry of wav.scp


def distort_data_dir(
    src: str | Path,
    dst: str | Path,
    config: str | Path | Mapping,
    *,
    seed: int,
    nj: int = 1,
    format: str = "flac",
    allow_pipe: bool = False,
) -> None:
    """Write a distorted copy of a data dir.

    ``dst`` gets ``wav.scp``, ``utt2dur``, ``utt2num_samples``, ``utt2distortion`` (a JSON record
    for each utterance, see ``remake``) and every other file of ``src`` that does not depend on
    the audio. A copy that is already there and was made by the same job (same config, seed,
    format, tables of ``src`` and of the noise) is left as it is.

    Args:
        src: data dir, complete and valid.
        dst: data dir to be written.
        config: see ``load_distortion``.
        seed: of all draws, >= 0.
        nj: processes; the result does not depend on it.
        format: "flac" and "wav" files, "ark" and "flac.ark" of kaldiio, or "pipe": commands that
            make the audio when it is read.
        allow_pipe: whether commands in ``src/wav.scp`` may be run.

    Raises:
        UserError: a file of ``src`` is missing or no usable audio, tables do not agree, the config
            is wrong, the disk is full. Nothing that looks complete is left.
    """
    distorter = load_distortion(config)
    given, _ = read_yaml(config)
    run_job(Job(Path(src), Path(dst), distorter, given, seed, format, allow_pipe), nj=nj)


def run_job(job: Job, *, nj: int = 1) -> None:
    """Do one job, or what is left of it. See ``distort_data_dir``."""
    if job.seed < 0:
        raise ConfigError(f"seed {job.seed}: must be at least 0")
    refuse_foreign(job.dst)
    provenance = _provenance(job)
    done = _read_json(job.dst / PROVENANCE)
    if done == provenance:
        return
    total = _check_source(job)
    with _lock(job):
        try:
            if _read_json(job.partial / PROVENANCE) != provenance:
                shutil.rmtree(job.partial, ignore_errors=True)
            (job.partial / "parts").mkdir(parents=True, exist_ok=True)
            write_atomic(job.partial / PROVENANCE, json.dumps(provenance, indent=1) + "\n")
            _make_shards(job, total, nj)
            _finish(job)
        except OSError as e:
            message = f"{job.dst}: cannot be written: {e.strerror}{_resume(job)}"
            raise DataDirError(message) from None
        except UserError as e:
            raise type(e)(f"{e}{_resume(job)}") from None


def remake(copy: str | Path, utt: str) -> np.ndarray:
    """Make one utterance of a copy again from its line in ``utt2distortion``.

    Returns:
        (samples,) float32; quantised to 16 bits it is the stored audio.

    Raises:
        UserError: the utterance is not in the copy, or something it was made of is gone.
    """
    copy = Path(copy)
    records = (line for found, line in iter_table(copy / "utt2distortion") if found == utt)
    line = next(records, None)
    if line is None:
        raise DataDirError(f"{copy}/utt2distortion: no utterance {utt!r} in it")
    provenance = _read_json(copy / PROVENANCE)
    if provenance is None:
        raise DataDirError(f"{copy}/{PROVENANCE}: missing or damaged; make the copy again")
    try:
        record = json.loads(line)
        source = record["source"]
    except (ValueError, KeyError):
        raise DataDirError(f"{copy}/utt2distortion: no record of {utt!r} to go by") from None
    distorter = load_distortion(provenance["config"])
    wav = read_audio(source, on_rate=distorter.on_rate, allow_pipe=provenance["allow_pipe"])
    return distorter.apply(wav, record)


def _provenance(job: Job) -> dict:
    """What the copy depends on."""
    tables = {str(f): _sha256(f) for d in job.distorter.data_dirs for f in _tables_of(Path(d))}
    return {
        "version": _VERSION,
        "src": str(job.src),
        "src_tables": {f.name: _sha256(f) for f in _tables_of(job.src)},
        "drawn_from": tables,
        "config": json.loads(json.dumps(job.config, default=str)),
        "seed": job.seed,
        "format": job.format,
        "allow_pipe": job.allow_pipe,
        "dst": str(job.dst),
    }


def _tables_of(path: Path) -> list[Path]:
    return [path / name for name in table_names(path)]


def _sha256(path: Path) -> str:
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _resume(job: Job) -> str:
    parts = job.partial / "parts"
    if parts.is_dir() and any(parts.iterdir()):
        return f"; what is finished is kept in {job.partial}: the same command goes on from there"
    shutil.rmtree(job.partial, ignore_errors=True)
    return ""


@contextlib.contextmanager
def _lock(job: Job) -> Iterator[None]:
    """Keep out other processes that make the same copy, workers of a killed run included: they
    inherit the lock and hold it until they notice, after ``_ORPHAN_S``."""
    path = job.dst.with_name(f".{job.dst.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        f = open(path, "w")  # noqa: SIM115
    except OSError as e:
        raise DataDirError(f"{job.dst}: cannot be made: {e.strerror}") from None
    with f:
        until = time.monotonic() + 10 * _ORPHAN_S
        while True:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise DataDirError(f"{job.dst}: another process is making it") from None
                time.sleep(_ORPHAN_S / 4)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _exit_with_parent(parent: int) -> None:
    """In a worker: end when the parent was killed; the executor would wait for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_ORPHAN_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _check_source(job: Job) -> int:
    """Check tables and audio of the source; return the number of utterances."""
    scp = job.src / "wav.scp"
    others = [n for n in table_names(job.src) if n not in AUDIO_TABLES | {"wav.scp"}]
    for name in others:
        _check_ids_agree(scp, job.src / name)
    total = 0
    for utt, entry in iter_table(scp):
        total += 1
        if entry.endswith("|") and job.allow_pipe:
            continue  # running it twice would cost more than finding out later
        try:
            check_audio(entry)
        except AudioError as e:
            raise DataDirError(f"{scp}: utterance {utt}: {e}") from None
    if not total:
        raise DataDirError(f"{scp}: no utterances in it")
    return total


def _check_ids_agree(scp: Path, table: Path) -> None:
    audio, other = iter_table(scp), iter_table(table)
    for number, ((utt, _), (utt_other, _)) in enumerate(_zip_longest(audio, other), 1):
        if utt != utt_other:
            missing = utt if utt_other is None or (utt is not None and utt < utt_other) else None
            what = f"{missing!r} is missing" if missing else f"{utt_other!r} has no audio"
            raise DataDirError(
                f"{table}:{number}: does not match wav.scp: {what};"
                f" to mend: utils/fix_data_dir.sh {table.parent}"
            )


def _zip_longest(a: Iterator[Row], b: Iterator[Row]) -> Iterator[tuple]:
    end = (None, None)
    while (pair := (next(a, end), next(b, end))) != (end, end):
        yield pair


def _make_shards(job: Job, total: int, nj: int) -> None:
    """Make the shards that are not there yet, ``nj`` at a time."""
    bar = tqdm(total=total, desc=job.dst.name, unit="utt", disable=None)
    scaled = 0
    todo = _missing_shards(job, bar)
    with bar:
        if nj <= 1:
            for number, rows in todo:
                scaled += _make_shard(job, number, rows)
                bar.update(len(rows))
        else:
            scaled = _make_in_processes(job, todo, nj, bar)
    if scaled:
        print(
            f"{job.dst}: {scaled} of {total} utterances exceeded full scale and were turned down",
            file=sys.stderr,
        )


def _missing_shards(job: Job, bar: tqdm) -> Iterator[tuple[int, list[Row]]]:
    rows = iter_table(job.src / "wav.scp")
    number = 0
    while shard := list(islice(rows, _SHARD)):
        if _part(job, number).exists():
            bar.update(len(shard))
        else:
            yield number, shard
        number += 1


def _make_in_processes(job: Job, todo: Iterator, nj: int, bar: tqdm) -> int:
    scaled = 0
    pool = ProcessPoolExecutor(
        nj, get_context("fork"), initializer=_exit_with_parent, initargs=(os.getpid(),)
    )
    try:
        # Never more than two shards a process in flight: the executor would take the whole corpus.
        running: dict = {}
        while True:
            for number, rows in islice(todo, 2 * nj - len(running)):
                running[pool.submit(_make_shard, job, number, rows)] = len(rows)
            if not running:
                return scaled
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                scaled += future.result()
                bar.update(running.pop(future))
    except BrokenProcessPool:
        raise DataDirError(f"{job.dst}: a worker was killed; out of memory?") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _part(job: Job, number: int) -> Path:
    return job.partial / "parts" / f"{number:06d}.jsonl"


def _make_shard(job: Job, number: int, rows: list[Row]) -> int:
    """Audio of one shard, then its part of the tables; returns how many were turned down."""
    folder = Path("audio") / f"{number:06d}"
    if job.format in ("flac", "wav"):
        (job.partial / folder).mkdir(parents=True, exist_ok=True)
    lines: list[list] = []  # utterance id, wav.scp entry, samples, record
    pcm: dict[str, np.ndarray] = {}
    scaled = 0
    for utt, entry in rows:
        try:
            if job.format == "pipe":
                record, num_samples = _draw(job, utt, entry)
            else:
                wav, record, scale = _distort(job, utt, entry)
                num_samples = len(wav)
                scaled += scale < 1.0
            if job.format in ("flac", "wav"):
                name = utt if _FILE_NAME.fullmatch(utt) else f"{len(lines):02d}"
                out = folder / f"{name}.{job.format}"
                _write_checked(job.partial / out, wav)
            elif job.format != "pipe":
                pcm[utt] = to_int16(wav)
        except UserError as e:
            raise type(e)(f"utterance {utt}: {e}") from None
        if job.format == "pipe":
            written = pipe_entry(job.dst, utt)
        elif job.format in ("flac", "wav"):
            written = str(job.dst / out)
        else:
            written = ""
        lines.append([utt, written, num_samples, record])
    if pcm:
        offsets = _write_ark(job, folder.with_suffix(".ark"), pcm)
        for line in lines:
            line[1] = offsets[line[0]]
    write_atomic(_part(job, number), "".join(json.dumps(line) + "\n" for line in lines))
    return scaled


def _distort(job: Job, utt: str, entry: str) -> tuple[np.ndarray, dict, float]:
    wav = read_audio(entry, on_rate=job.distorter.on_rate, allow_pipe=job.allow_pipe)
    record = _record(job, utt, entry, len(wav))
    out, scale = job.distorter.apply_scaled(wav, record)
    return out, record, scale


def _draw(job: Job, utt: str, entry: str) -> tuple[dict, int]:
    num_samples = audio_info(entry, allow_pipe=job.allow_pipe).num_samples_at(RATE)
    record = _record(job, utt, entry, num_samples)
    return record, job.distorter.num_samples_out(num_samples, record)


def _record(job: Job, utt: str, entry: str, num_samples: int) -> dict:
    record = job.distorter.draw(rng_for(job.seed, utt), num_samples, utt_id=utt)
    return record | {"seed": job.seed, "source": entry}


def _write_checked(path: Path, wav: np.ndarray) -> None:
    write_atomic(path, encode_audio(wav, str(path)))
    if audio_info(path).num_samples != len(wav):
        raise AudioError(f"{path}: is not what was written to it; is the disk full or failing?")


def _write_ark(job: Job, name: Path, pcm: dict[str, np.ndarray]) -> dict[str, str]:
    """Write an ark under a temporary name; return its entries of wav.scp."""
    ark = job.partial / name
    ark.parent.mkdir(exist_ok=True)
    temporary, scp = ark.with_suffix(".tmp"), ark.with_suffix(".scp")
    codec = {"write_function": "soundfile", "write_kwargs": {"format": "flac"}}
    kaldiio.save_ark(
        str(temporary),
        {utt: (RATE, samples) for utt, samples in pcm.items()},
        scp=str(scp),
        **(codec if job.format == "flac.ark" else {}),
    )
    offsets = {utt: entry.rpartition(":")[2] for utt, entry in iter_table(scp)}
    for utt, offset in offsets.items():
        if audio_info(f"{temporary}:{offset}").num_samples != len(pcm[utt]):
            raise AudioError(f"{temporary}: is not what was written to it; is the disk failing?")
    scp.unlink()
    temporary.replace(ark)
    return {utt: f"{job.dst / name}:{offset}" for utt, offset in offsets.items()}


def pipe_entry(copy: Path, utt: str) -> str:
    """The command that stands in the ``wav.scp`` of a copy of format "pipe"."""
    command = [sys.executable, "-m", "espnet_robust.bin.remake_utterance", str(copy), utt, "-"]
    return " ".join(map(shlex.quote, command)) + " |"


def _finish(job: Job) -> None:
    """Put the parts together, carry the other files over, give the copy its name."""
    _write_tables(job)
    for name in table_names(job.src):
        if name not in _OWN_TABLES | AUDIO_TABLES:
            _check_ids_agree(job.partial / "wav.scp", job.src / name)
            shutil.copyfile(job.src / name, job.partial / name)
    for file in sorted(job.src.iterdir()):
        hidden = file.name.startswith(".")
        if file.is_file() and not (hidden or is_table(file.name) or file.name in _NOT_CARRIED):
            shutil.copyfile(file, job.partial / file.name)
    if (job.src / "spk2utt").exists():
        shutil.copyfile(job.src / "spk2utt", job.partial / "spk2utt")
    elif (job.src / "utt2spk").exists():
        speakers = spk2utt(dict(iter_table(job.src / "utt2spk")))
        (job.partial / "spk2utt").write_text(format_table(speakers.items()), encoding="utf-8")
    shutil.rmtree(job.partial / "parts")
    replace_dir(job.partial, job.dst)


def _write_tables(job: Job) -> None:
    names = ("wav.scp", "utt2num_samples", "utt2dur", "utt2distortion")
    files = [open(job.partial / name, "w", encoding="utf-8") for name in names]  # noqa: SIM115
    try:
        for part in sorted((job.partial / "parts").glob("[0-9]*.jsonl")):
            for line in part.read_text(encoding="utf-8").splitlines():
                utt, entry, num_samples, record = json.loads(line)
                record = json.dumps(record, ensure_ascii=False)
                for f, value in zip(
                    files, (entry, num_samples, f"{num_samples / RATE:.6g}", record), strict=True
                ):
                    f.write(f"{utt} {value}\n")
    finally:
        for f in files:
            f.close()
