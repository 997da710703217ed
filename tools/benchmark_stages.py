#!/usr/bin/env python3
"""Stages 1 to 3 of a recipe on ever more utterances: seconds, and memory of the largest process.

    python tools/benchmark_stages.py --utterances 10000 20000 --plot stages.png

The recipe is librispeech/asr1 with its preset mini, in a copy of the checkout. Its test set is a
few spoken sentences, each of which stands there many times, as links under other names: nothing is
copied, and all of it is read, checked and distorted. Two conditions: noise at 10 dB, and a room.
Noises and rooms are made here; stage 2 prepares them, and takes seconds. Needs espeak-ng. Each
stage is a run of its own, which first checks the data dirs; where other work goes on, go by the CPU
time.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
from markdown_table import table
from rehearsal.checkout import copy_checkout, with_own_python
from rehearsal.files import Speech, write_tree
from rehearsal.noise_corpora import esc10
from rehearsal.speech_corpora import SENTENCES

PROTOCOL = """\
conditions:
  noise: {snr_db: 10, chain: [{name: noise, noise: data/noise_test}]}
  room: {chain: [{name: rir, rir: data/rir_test}]}
"""
SETS = {"train-mini": 20, "dev-mini": 20, "test-other-mini": 20}  # utterances; test-mini has more
CHAPTER = 100  # utterances of a speaker
COLUMNS = {
    "utterances": ("utterances", "d"),
    "hours": ("audio, h", ".1f"),
    "wall1": ("stage 1, s", ".0f"),
    "cpu1": ("CPU s", ".1f"),
    "wall3": ("stage 3, s", ".0f"),
    "cpu3": ("CPU s", ".1f"),
    "speed": ("audio of the copies a CPU s, s", ".0f"),
    "memory": ("largest process, MB", ".0f"),
    "kb_a_s": ("copies, kB a s of audio", ".1f"),
}


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--utterances", type=int, nargs="+", default=[1000, 2000])
    parser.add_argument("--nj", type=int, default=1)
    parser.add_argument("--stop_stage", type=int, choices=(1, 2, 3), default=3)
    parser.add_argument("--plot", type=Path, help="seconds and memory against utterances")
    return parser


def main() -> None:
    args = get_parser().parse_args()
    rows = []
    for count in args.utterances:
        # In a process of its own, whose largest descendant is then that of this run alone.
        with (
            tempfile.TemporaryDirectory() as folder,
            ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
        ):
            rows.append(
                pool.submit(measure, Path(folder), count, args.nj, args.stop_stage).result()
            )
        print(table(rows[-1:], COLUMNS), file=sys.stderr)
    print(table(rows, COLUMNS))
    if args.plot:
        plot(rows, args.plot)


def measure(folder: Path, count: int, nj: int, last: int) -> dict[str, int | float]:
    """A run of the stages up to ``last`` on ``count`` utterances in an empty folder."""
    checkout = copy_checkout(folder / "checkout")
    (checkout / "conf/distortion/two.yaml").write_text(PROTOCOL)
    noises = write_tree(folder / "noises", esc10())
    hours = make_librispeech(folder / "LibriSpeech", SETS | {"test-mini": count})
    options = {
        "preset": "mini", "librispeech": str(folder / "LibriSpeech"), "test_sets": "test",
        "noise": str(noises / "noise"), "rir": str(noises / "rir"), "nj": str(nj),
        "protocol": "../../../conf/distortion/two.yaml",
    }  # fmt: skip
    command = ["./run.sh", *(word for k, v in options.items() for word in (f"--{k}", v))]
    recipe = checkout / "egs/librispeech/asr1"
    row: dict[str, int | float] = {"utterances": count, "hours": hours}
    for stage in range(1, last + 1):
        stages = ["--stage", str(stage), "--stop_stage", str(stage)]
        wall, cpu = run([*command, *stages], recipe, checkout)
        row |= {f"wall{stage}": wall, f"cpu{stage}": cpu}
    row["memory"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    if last < 3:
        return row
    stored = sum(file.stat().st_size for file in recipe.glob("data/test_*/**/*.flac"))
    copies = 2 * hours * 3600
    return row | {"speed": copies / row["cpu3"], "kb_a_s": stored / copies / 1000}


def run(command: list[str], recipe: Path, checkout: Path) -> tuple[float, float]:
    """Seconds by the clock and of CPU time."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    begun, before = time.monotonic(), used()
    done = subprocess.run(
        command, cwd=recipe, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env=with_own_python() | {"PYTHONPATH": str(checkout)},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return time.monotonic() - begun, used() - before


def make_librispeech(root: Path, sets: dict[str, int]) -> float:
    """Sets of so many utterances in LibriSpeech's layout; hours of the last set."""
    spoken = root.parent / "spoken"
    spoken.mkdir()
    seconds = []
    for n, text in enumerate(SENTENCES):
        wav, rate = Speech(text, str(n)).samples(np.random.default_rng(n))
        soundfile.write(spoken / f"{n}.flac", wav, rate)
        seconds.append(len(wav) / rate)
    total = 0.0
    for name, count in sets.items():
        total = 0.0
        for first in range(0, count, CHAPTER):
            speaker = str(1000 + first // CHAPTER)
            chapter = root / name / speaker / "1"
            chapter.mkdir(parents=True)
            lines = []
            for number in range(first, min(first + CHAPTER, count)):
                utt, which = f"{speaker}-1-{number - first:04d}", number % len(SENTENCES)
                os.link(spoken / f"{which}.flac", chapter / f"{utt}.flac")
                lines.append(f"{utt} {SENTENCES[which]}\n")
                total += seconds[which]
            (chapter / f"{speaker}-1.trans.txt").write_text("".join(lines))
    shutil.rmtree(spoken)
    return total / 3600


def plot(rows: list[dict[str, int | float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    counts = [row["utterances"] for row in rows]
    for stage in (1, 3):
        if f"cpu{stage}" in rows[0]:
            cpu = [row[f"cpu{stage}"] for row in rows]
            left.plot(counts, cpu, marker="o", label=f"stage {stage}")
    left.set(xlabel="utterances", ylabel="CPU time, s", xlim=0, ylim=0)
    left.legend()
    right.plot(counts, [row["memory"] for row in rows], marker="o")
    right.set(xlabel="utterances", ylabel="largest process, MB", xlim=0, ylim=(0, None))
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
