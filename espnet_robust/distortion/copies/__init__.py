"""Distorted copies of data dirs on disk.

A copy is made in shards of consecutive utterances: each is finished, audio first, before its part
of the tables appears, so a killed run goes on with the first unfinished shard. Everything happens
in ``.NAME.partial`` beside the copy, which takes its name when it is complete. Tables are streamed,
never held: memory does not grow with the corpus.

    job.py         what is to be made
    make.py        the way from source to copy
    provenance.py  what a copy was made of, and whether all of it is there
    source.py      checks of the data dir to be distorted
    shards.py      audio and records, shard by shard, in several processes
    formats.py     one writer a format
    tables.py      the parts put together, the other files carried over
    remake.py      one utterance again, from its record
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
