#!/usr/bin/env python3
"""Weak scaling of distorted copies: twice the utterances by jobs on two cores, and so on.

    OMP_NUM_THREADS=1 python tools/benchmark_scaling.py [--cores 1 2] [--rounds 3]

Each job of the local executor makes as many shards, whatever their number; jobs begin together,
and each is held on a core of its own. Stated is what so many cores make in a second, over what one
makes: medians of rounds by turns, and each round's ratio. Starting the jobs counts. Other work on
the machine spoils the figures; the load that was found is stated too.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from benchmark_distortion import make_material

from espnet_robust.cluster import copies
from espnet_robust.cluster.config import Cluster
from espnet_robust.cluster.running import Stage, run_jobs
from espnet_robust.data.data_dir import read_data_dir, write_data_dir
from espnet_robust.distortion.copies.make import Todo
from espnet_robust.distortion.protocol import protocol_jobs


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--shards", type=int, default=4, help="of a job, of 64 utterances of 20 s")
    parser.add_argument("--rounds", type=int, default=3)
    return parser


def make_source(root: Path, name: str, entries: list[str], utterances: int) -> Path:
    """A data dir of so many utterances, from a few files."""
    ids = [f"u{n:06d}" for n in range(utterances)]
    wav = {utt: entries[n % len(entries)] for n, utt in enumerate(ids)}
    return write_data_dir(root / name, {"wav.scp": wav, "utt2spk": {u: u for u in ids}}).path


def seconds(root: Path, src: Path, cores: int) -> float:
    """How long that many jobs take to make a copy, each on its core."""
    folder = root / "out"
    folder.mkdir()
    jobs = protocol_jobs(src, f"{folder}/copy", root / "protocol.yaml", seed=0)

    def pinned(todo: Sequence[Todo]) -> None:
        commands = copies.commands(todo, cores)
        assert len(commands) == cores
        stage = Stage("copies", Cluster("local", array=cores), folder / "jobs")
        run_jobs(
            stage,
            {
                name: ["taskset", "--cpu-list", str(core), *command]
                for core, (name, command) in enumerate(commands.items())
            },
        )

    begin = time.perf_counter()
    copies.copies.run_jobs(jobs, pinned)
    took = time.perf_counter() - begin
    shutil.rmtree(folder)
    return took


def main() -> None:
    args = get_parser().parse_args()
    if max(args.cores) > (os.cpu_count() or 1):
        sys.exit(f"--cores {max(args.cores)}: this machine has {os.cpu_count()}")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        speech, noise, rir = make_material(root, np.random.default_rng(0))
        chain = [{"name": "rir", "rir": str(rir)}, {"name": "noise", "noise": str(noise)}]
        config = {"conditions": {"both": {"snr_db": 10, "chain": chain}}}
        (root / "protocol.yaml").write_text(yaml.safe_dump(config))
        entries = list(read_data_dir(speech).wav.values())
        per_job = args.shards * copies.copies.SHARD
        sources = {n: make_source(root, f"src{n}", entries, n * per_job) for n in args.cores}
        times: dict[int, list[float]] = {n: [] for n in args.cores}
        for _ in range(args.rounds):
            for n, src in sources.items():
                times[n].append(seconds(root, src, n))
    first = args.cores[0]
    print(f"load before {load:.2f}; {per_job} utterances of 20 s a core; {args.rounds} rounds")
    print("| cores | s | utterances / s | times one core | in each round |")
    print("|---:|---:|---:|---:|---|")
    for n, took in times.items():
        ratios = [n / first * one / many for one, many in zip(times[first], took, strict=True)]
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        middle = statistics.median(took)
        print(
            f"| {n} | {middle:.1f} | {n * per_job / middle:.1f} | {statistics.median(ratios):.2f}"
            f" | {shown} |"
        )


if __name__ == "__main__":
    main()
