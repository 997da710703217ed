"""Distorted copies of data dirs on disk.

A copy is made in shards of consecutive utterances. A shard's audio is finished before its part of
the tables appears, so a killed run resumes with the first unfinished shard. The copy grows in
``.NAME.partial`` beside it and is renamed to NAME when complete. Tables are streamed, so memory use
does not grow with the corpus.

    job.py         the description of a copy to be made
    make.py        make a copy
    provenance.py  record what a copy was made of, and check that it is complete
    source.py      check the data dir to be distorted
    shards.py      write audio and records, shard by shard, in several processes
    formats.py     one writer per audio format
    tables.py      join the tables of the shards, carry over the other files
    remake.py      remake one utterance from its record
"""

from espnet_robust.distortion.copies.formats import FORMATS
from espnet_robust.distortion.copies.job import Job
from espnet_robust.distortion.copies.make import (
    begun_job,
    distort_data_dir,
    run_job,
    run_jobs,
    single_snr,
)
from espnet_robust.distortion.copies.remake import remake
from espnet_robust.distortion.copies.shards import SHARD, make_shards, missing_shards

__all__ = [
    "FORMATS", "SHARD", "Job", "begun_job", "distort_data_dir", "make_shards", "missing_shards",
    "remake", "run_job", "run_jobs", "single_snr",
]  # fmt: skip
