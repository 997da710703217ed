"""The shards of a copy: first the audio, then the shard's part of the tables, which completes it.

A part is a file of JSON lines: [id, wav.scp entry, samples, record] for each utterance, and a last
line with their number and the names and sizes of the audio files.
"""

import json
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import sync, write_atomic
from espnet_robust.common.processes import unordered
from espnet_robust.data.audio import RATE, audio_info, read_audio
from espnet_robust.data.data_dir import iter_wav
from espnet_robust.distortion.copies.formats import FORMATS, Place
from espnet_robust.distortion.copies.job import Job
from espnet_robust.distortion.copies.provenance import same_size
from espnet_robust.distortion.seeding import rng_for

SHARD = 64  # utterances; fixed, so that arks do not depend on the number of processes

Row = tuple[str, str]  # utterance id, entry of wav.scp


class Part(NamedTuple):
    """A shard's part of the tables.

    Args:
        rows: [id, wav.scp entry, samples, record] for each utterance.
        files: name and size in bytes of each audio file.
        turned_down: number of utterances that exceeded full scale.
    """

    rows: list[list]
    files: list[list]
    turned_down: int


def make_shards(job: Job, total: int, nj: int = 1, only: range | None = None) -> None:
    """Make the missing shards, ``nj`` at a time.

    Args:
        total: utterances of the source, for a progress bar.
        only: numbers of the shards to make, if others are made elsewhere; None: all.
    """
    (job.partial / "parts").mkdir(parents=True, exist_ok=True)
    if only is not None:
        total = max(0, min(total, only.stop * SHARD) - only.start * SHARD)
    with tqdm(total=total, desc=job.dst.name, unit="utt", disable=None) as bar:
        for made in unordered(partial(_make_shard, job), _missing(job, bar, only), nj):
            bar.update(made)


def missing_shards(job: Job) -> list[int]:
    """The numbers of the shards that are not there yet."""
    with tqdm(disable=True) as bar:
        return [number for number, _ in _missing(job, bar, None)]


def _missing(job: Job, bar: tqdm, only: range | None) -> Iterator[tuple[int, list[Row]]]:
    rows = iter_wav(job.src)
    number = 0
    while shard := list(islice(rows, SHARD)):
        if only is None or number in only:
            if _is_whole(job.partial, number, shard):
                bar.update(len(shard))
            else:
                yield number, shard
        number += 1


def _is_whole(folder: Path, number: int, rows: list[Row]) -> bool:
    part = read_part(folder, number)
    return (
        part is not None
        and [row[0] for row in part.rows] == [utt for utt, _ in rows]
        and all(same_size(folder, *file) for file in part.files)
    )


def _part_file(folder: Path, number: int) -> Path:
    return folder / "parts" / f"{number:06d}.jsonl"


def read_part(folder: Path, number: int) -> Part | None:
    """The part of a shard; None if it is missing or incomplete."""
    try:
        lines = _part_file(folder, number).read_text(encoding="utf-8").splitlines()
        *rows, end = map(json.loads, lines)
        part = Part(rows, end["files"], end["turned_down"])
        return part if end["utterances"] == len(rows) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _make_shard(job: Job, shard: tuple[int, list[Row]]) -> int:
    """Write the audio of a shard, then its part of the tables; return its number of utterances."""
    number, rows = shard
    writer = FORMATS[job.format](Place(job.partial, job.dst, number, job.allow_pipe))
    step = _distort if writer.stores_audio else _draw
    made, turned_down = [], 0
    for utt, entry in rows:
        try:
            wav, num_samples, record, scale = step(job, utt, entry)
            writer.add(utt, wav)
        except UserError as e:
            raise type(e)(f"utterance {utt}: {e}") from None
        turned_down += scale < 1.0
        made.append((utt, num_samples, record))
    entries, files = writer.finish()
    # The audio must be on the disk before the part that lists it.
    audio = [job.partial / file for file in files]
    sync([*audio, *{path.parent for path in audio}])
    end = {
        "utterances": len(rows),
        "files": [[file, (job.partial / file).stat().st_size] for file in files],
        "turned_down": turned_down,
    }
    lines = [[utt, entry, n, r] for (utt, n, r), entry in zip(made, entries, strict=True)]
    content = "".join(json.dumps(line) + "\n" for line in [*lines, end])
    write_atomic(_part_file(job.partial, number), content)
    return len(rows)


def _distort(job: Job, utt: str, entry: str) -> tuple:
    """(samples,) distorted, their number, the record, and the factor they were scaled by."""
    wav = read_audio(entry, on_rate=job.distorter.on_rate, allow_pipe=job.allow_pipe)
    record = _record(job, utt, entry, len(wav))
    out, scale = job.distorter.apply_scaled(wav, record)
    return out, len(out), record, scale


def _draw(job: Job, utt: str, entry: str) -> tuple:
    """Like ``_distort``, but without the samples."""
    num_samples = audio_info(entry, allow_pipe=job.allow_pipe).num_samples_at(RATE)
    record = _record(job, utt, entry, num_samples)
    return None, job.distorter.num_samples_out(num_samples, record), record, 1.0


def _record(job: Job, utt: str, entry: str, num_samples: int) -> dict:
    record = job.distorter.draw(rng_for(job.seed, utt), num_samples, utt_id=utt)
    return record | {"seed": job.seed, "source": entry}
