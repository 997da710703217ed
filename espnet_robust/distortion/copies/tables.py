"""Write the tables of a copy: join those of its shards, carry over the other files."""

import contextlib
import json
import shutil
from collections.abc import Iterator

from espnet_robust.common.errors import DataDirError
from espnet_robust.data.audio import RATE
from espnet_robust.data.conditions import write_condition
from espnet_robust.data.data_dir import (
    format_table,
    is_table,
    iter_table,
    spk2utt,
    table_names,
)
from espnet_robust.distortion.copies.job import Job
from espnet_robust.distortion.copies.provenance import OWN, carried_files, list_files
from espnet_robust.distortion.copies.shards import SHARD, Part, read_part
from espnet_robust.distortion.copies.source import check_ids_agree


def write_tables(job: Job, total: int) -> tuple[dict, int]:
    """Write everything but the audio; return the record's entry on the files, and the number of
    utterances that were turned down.

    Args:
        total: number of utterances in the source, all of which must have been made.

    Raises:
        DataDirError: a part is missing or incomplete, or a table of the source changed meanwhile.
    """
    shards = -(-total // SHARD)
    turned_down = sum(part.turned_down for part in _parts(job, shards))
    written = 0
    with contextlib.ExitStack() as stack:
        files = [
            stack.enter_context(open(job.partial / name, "w", encoding="utf-8")) for name in OWN
        ]
        for part in _parts(job, shards):
            for utt, entry, num_samples, record in part.rows:
                values = (entry, num_samples, f"{num_samples / RATE:.6g}")
                for f, value in zip(
                    files, (*values, json.dumps(record, ensure_ascii=False)), strict=True
                ):
                    f.write(f"{utt} {value}\n")
                written += 1
    if written != total:
        raise DataDirError(f"{job.src}/wav.scp: changed meanwhile; run this again")
    tables = [*OWN, *_carry_over(job)]
    write_condition(job.partial, job.condition)
    audio = (tuple(file) for part in _parts(job, shards) for file in part.files)
    return list_files(job.partial, tables, audio), turned_down


def _parts(job: Job, shards: int) -> Iterator[Part]:
    for number in range(shards):
        part = read_part(job.partial, number)
        if part is None:
            raise DataDirError(f"{job.partial}/parts: part {number} is damaged; run this again")
        yield part


def _carry_over(job: Job) -> list[str]:
    """Copy the source's files that are not derived from its audio; return their names."""
    carried = []
    tables = table_names(job.src)
    for file in carried_files(job.src):
        name = file.name
        if is_table(name) and name in tables:
            check_ids_agree(job.partial / "wav.scp", file)
        shutil.copyfile(file, job.partial / name)
        carried.append(name)
    if (job.src / "spk2utt").exists():
        shutil.copyfile(job.src / "spk2utt", job.partial / "spk2utt")
    elif (job.src / "utt2spk").exists():
        speakers = spk2utt(dict(iter_table(job.src / "utt2spk")))
        (job.partial / "spk2utt").write_text(format_table(speakers.items()), encoding="utf-8")
    else:
        return carried
    return [*carried, "spk2utt"]
