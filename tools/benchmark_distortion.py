#!/usr/bin/env python3
"""Throughput of the distortion engine on one core, and of audiomentations if it is installed.

    OMP_NUM_THREADS=1 python tools/benchmark_distortion.py [--noise DIR --rir DIR --speech DIR]

Without data dirs it generates its own material. Each of our operations and its counterpart take
turns on the same utterances and files, so that other load slows both. It prints medians of the
process's CPU time and of the wall clock, and the seconds of audio distorted per second of CPU time.
audiomentations is not a dependency: to compare, install it into a copy of the environment.
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from espnet_robust.data.audio import RATE, audio_info, read_audio, write_audio
from espnet_robust.data.data_dir import read_data_dir, write_data_dir
from espnet_robust.distortion import load_distortion

SNR_DB = 10


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--speech", type=Path, help="data dir; its longest utterances are used")
    parser.add_argument("--noise", type=Path, help="data dir")
    parser.add_argument("--rir", type=Path, help="data dir")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each utterance")
    parser.add_argument("--repeat", type=int, default=60, help="utterances per operation")
    parser.add_argument(
        "--warm", type=int, default=5, help="utterances before, not counted; more fill the caches"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser


def make_material(root: Path, rng: np.random.Generator) -> tuple[Path, Path, Path]:
    """Speech-like bursts, noise of a minute and decaying impulse responses, as data dirs."""
    sounds: dict[str, list[np.ndarray]] = {"speech": [], "noise": [], "rir": []}
    for _ in range(4):
        syllables = np.repeat(rng.uniform(0, 1, 200) > 0.3, RATE // 10)
        sounds["speech"].append(rng.standard_normal(len(syllables)) * syllables * 0.1)
    sounds["noise"] = [0.1 * rng.standard_normal(60 * RATE) for _ in range(8)]
    t = np.arange(RATE) / RATE
    for rt60 in np.linspace(0.2, 1.0, 8):
        rir = rng.standard_normal(RATE) * 10 ** (-3 * t / rt60)
        sounds["rir"].append(rir / np.abs(rir).max())
    dirs = []
    for kind, wavs in sounds.items():
        table = {}
        for i, wav in enumerate(wavs):
            table[f"{kind}{i}"] = str(root / f"{kind}{i}.flac")
            write_audio(table[f"{kind}{i}"], wav.astype(np.float32), clip="scale")
        dirs.append(write_data_dir(root / kind, {"wav.scp": table}).path)
    return tuple(dirs)


def utterances(speech: Path, seconds: float) -> list[np.ndarray]:
    """The ten longest utterances, repeated or cut to the length."""
    entries = read_data_dir(speech).wav.values()
    longest = sorted(entries, key=lambda e: audio_info(e).num_samples, reverse=True)[:10]
    return [np.resize(read_audio(entry), round(seconds * RATE)) for entry in longest]


def chains(noise: str, rir: str, speech: str) -> dict[str, dict]:
    """Our operations by name. ``double`` is the reference's mixture on our kinds."""
    add_noise, add_rir = {"name": "noise", "noise": noise}, {"name": "rir", "rir": rir}
    double = [
        {"one_of": [add_noise, add_noise, "white", "clean"]},
        {"one_of": [add_rir, {"name": "pitch", "cents": [-500, 500]}, "band_reject", "clean"]},
    ]
    steps = {
        "noise": [add_noise],
        "rir": [add_rir],
        "band_reject": ["band_reject"],
        "pitch": [{"name": "pitch", "cents": [-500, 500]}],
        "white": ["white"],
        "noise + rir": [add_noise, add_rir],
        "double": double,
        "coloured": ["coloured"],
        "babble": [{"name": "babble", "speech": speech}],
        "codec": ["codec"],
        "sox_reverb": ["sox_reverb"],
        "sox_pitch": ["sox_pitch"],
        "sox_sinc": ["sox_sinc"],
    }
    return {name: {"snr_db": SNR_DB, "chain": chain} for name, chain in steps.items()}


def rivals(noise: list[str], rir: list[str]) -> dict[str, Callable]:
    """The same operations of audiomentations; empty if it is not installed."""
    try:
        import audiomentations as am
    except ImportError:
        return {}
    snr = {"min_snr_db": SNR_DB, "max_snr_db": SNR_DB, "p": 1.0}
    semitones = {"min_semitones": -5.0, "max_semitones": 5.0, "p": 1.0}
    noise_, rir_ = am.AddBackgroundNoise(noise, **snr), am.ApplyImpulseResponse(rir, p=1.0)
    white, pitch = am.AddGaussianSNR(**snr), am.PitchShift(**semitones)
    band = am.BandStopFilter(p=1.0)
    nothing = am.Gain(0.0, 0.0, p=1.0)
    operations = {
        "noise": noise_,
        "rir": rir_,
        "band_reject": band,
        "pitch": pitch,
        "white": white,
        "noise + rir": am.Compose([noise_, rir_]),
        "double": am.Compose(
            [am.OneOf([noise_, noise_, white, nothing]), am.OneOf([rir_, pitch, band, nothing])]
        ),
    }
    return {name: lambda wav, f=f: f(wav, sample_rate=RATE) for name, f in operations.items()}


def timed(function: Callable, *args, **kwargs) -> tuple[float, float]:
    """(CPU of this process, wall clock) in ms."""
    cpu, wall = time.process_time(), time.perf_counter()
    function(*args, **kwargs)
    return 1e3 * (time.process_time() - cpu), 1e3 * (time.perf_counter() - wall)


def benchmark(args: argparse.Namespace, root: Path) -> list[dict]:
    """One row for each operation."""
    made = make_material(root, np.random.default_rng(args.seed))
    speech, noise, rir = (
        given or default
        for given, default in zip((args.speech, args.noise, args.rir), made, strict=True)
    )
    wavs = utterances(speech, args.seconds)
    theirs = rivals(*([*read_data_dir(d).wav.values()] for d in (noise, rir)))
    rows = []
    for name, config in chains(str(noise), str(rir), str(speech)).items():
        distorter = load_distortion(config)
        other = theirs.get(name)
        ours_ms, theirs_ms = [], []
        for i in range(args.warm + args.repeat):
            wav = wavs[i % len(wavs)]
            ours = timed(distorter, wav, f"utt{i}", seed=args.seed)
            rival = timed(other, wav) if other else (float("nan"),) * 2
            if i >= args.warm:
                ours_ms.append(ours)
                theirs_ms.append(rival)
        cpu, wall = zip(*ours_ms, strict=True)
        rival_cpu, rival_wall = zip(*theirs_ms, strict=True)
        rows.append(
            {
                "operation": name,
                "cpu_ms": statistics.median(cpu),
                "wall_ms": statistics.median(wall),
                "mean_cpu_ms": statistics.mean(cpu),
                # The CPU time of a process apart is not ours, and its wall clock has outliers.
                "times_real_time": 1e3
                * args.seconds
                / (statistics.median(wall) if name.startswith("sox") else statistics.mean(cpu)),
                "rival_cpu_ms": statistics.median(rival_cpu),
                "rival_wall_ms": statistics.median(rival_wall),
                "speed_up": statistics.mean(rival_cpu) / statistics.mean(cpu),
            }
        )
    return rows


def main() -> None:
    args = get_parser().parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as root:
        rows = benchmark(args, Path(root))
    print(f"{args.seconds:g} s utterances, {args.repeat} each after {args.warm}; times in ms")
    print(f"{'':14}{'cpu':>8}{'wall':>8}{'x real time':>13}{'rival cpu':>11}{'speed-up':>10}")
    for row in rows:
        print(
            f"{row['operation']:14}{row['cpu_ms']:8.2f}{row['wall_ms']:8.2f}"
            f"{row['times_real_time']:13.0f}{row['rival_cpu_ms']:11.2f}{row['speed_up']:10.2f}"
        )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
