#!/usr/bin/env python3
"""Compare the speed of a full-size distillation step with that of a plain one.

    OMP_NUM_THREADS=2 python tools/benchmark_distill.py [--amp none bf16] [--device cuda]
    OMP_NUM_THREADS=2 python tools/benchmark_distill.py --scaling OUT.png

The models are those of ``distill_steps.py``. A batch has four utterances of 9 to 14 s.

    plain                transformers' models, output_hidden_states, attention mask, fp32; batches
                         of random utterances, padded with zeros to the longest
    plain, bf16          the same under torch.autocast, where --amp has bf16
    setup1, setup2       ours; batches of similar length, as batch_type numel makes them. The two
                         differ in their input, not in what is computed
    setup1 cached        the same, with the teacher's hidden states on disk
    setup2 + adversary   with a domain classifier

All hear the same utterances, a batch by turns, so that a busy machine slows all. Stated are audio
seconds (without padding) per second, the ratio to plain as median and range over the rounds, and
the same ratio per second of this process's CPU time, which other processes hardly touch.
Reading and distorting, done by other processes, is not counted; reading the cache is.

``--peak`` also counts the operations of each step and states them as a share of what this device
does in a bf16 product of two large matrices, measured in the same run. On a GPU peak memory is
stated as if each step were alone: what it keeps, and what it takes beyond that.

``--scaling`` plots time (on a CPU the process's CPU time) and peak memory of a setup2 step against
the audio seconds in the batch, made of crops of 10 s, with the best-fitting straight line.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from distill_steps import (
    RATE,
    Step,
    count_flop,
    fill,
    make_hubert,
    make_student,
    make_teacher,
    our_step,
    peak_flops,
    peak_memory,
    plain_step,
    timed,
)
from markdown_table import table
from torch import Tensor

from espnet_robust.distill.cache import TargetCache
from espnet_robust.distill.config import AMP
from espnet_robust.models.onednn.choice import current

SETUPS = ("setup1", "setup1 cached", "setup2", "setup2 + adversary")
COMPILED = " compiled"
PRECISIONS = (*AMP, *(amp + COMPILED for amp in AMP))
CROP = 10.0  # of --scaling


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4, help="batches that each alternative gets")
    parser.add_argument("--batch", type=int, default=4, help="utterances in a batch")
    parser.add_argument(
        "--seconds", type=float, nargs=2, default=(9.0, 14.0), metavar=("LEAST", "MOST")
    )
    parser.add_argument("--setups", nargs="+", choices=SETUPS, default=["setup2", "setup1 cached"])
    parser.add_argument(
        "--amp", nargs="+", choices=PRECISIONS, default=["none"], help="each setup with each"
    )
    parser.add_argument("--peak", action="store_true", help="also the share of the matrix peak")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tiny", action="store_true", help="small models, to see that it runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scaling", type=Path, metavar="OUT.png", help="plot instead")
    parser.add_argument("--crops", type=int, default=5, help="of --scaling: crops in the largest")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser


def alternatives(args: argparse.Namespace, cache: TargetCache) -> dict[str, Step]:
    """The steps to compare, by name. The caller, which knows the batches, fills the cache."""
    hubert = make_hubert(args.tiny)
    pairs = {}  # of teacher and student: shared, so that no code is compiled twice
    steps = {"plain": plain_step(hubert, args.device)}
    if "bf16" in args.amp:
        steps["plain, bf16"] = plain_step(hubert, args.device, "bf16")
    for precision, setup in itertools.product(args.amp, args.setups):
        compiled = precision.endswith(COMPILED)
        if compiled not in pairs:
            teacher = make_teacher(hubert, args.device, compiled)
            pairs[compiled] = teacher, make_student(teacher, compiled)
        steps[setup if precision == "none" else f"{setup}, {precision}"] = our_step(
            *pairs[compiled],
            args.device,
            precision.removesuffix(COMPILED),
            cache=cache if "cached" in setup else None,
            adversary="adversary" in setup,
        )
    return steps


def batches(wavs: Sequence[Tensor], size: int) -> Iterator[list[Tensor]]:
    for start in range(0, len(wavs), size):
        yield list(wavs[start : start + size])


def warm_up(steps: dict[str, Step], wavs: list[Tensor], count: bool) -> dict[str, float]:
    """The operations of each step, if they are to be counted; of compiled ones they cannot be.

    A step that fails (no memory, no compiler) is taken out, so that the others are measured.
    """
    flop = {}
    for name, step in list(steps.items()):
        try:
            if count and COMPILED not in name:
                flop[name] = count_flop(step, wavs)
            # The first allocates, compiles, chooses its kernels.
            first, second = (timed(step, wavs)[0] for _ in range(2))
            print(f"{name}: first step {first:.1f} s, second {second:.3f} s", file=sys.stderr)
        except Exception:
            if name == "plain":
                raise
            traceback.print_exc()
            print(f"{name}: failed; see stderr\n")
            del steps[name]
    if count:
        # Precision does not change their number.
        by_setup = {name.split(",")[0]: number for name, number in flop.items()}
        flop |= {name: by_setup.get(name.split(",")[0]) for name in steps}
    return flop


def compare(args: argparse.Namespace, root: str) -> tuple[list[dict], bool]:
    """One row for each alternative, and whether all of them ran."""
    rng = np.random.default_rng(args.seed)
    sizes = (rng.uniform(*args.seconds, args.rounds * args.batch) * RATE).astype(int)
    wavs = [torch.randn(int(n)).mul(0.1).to(args.device) for n in sizes]
    by_length = sorted(wavs, key=len)
    # A GPU's kernels are chosen, and code is compiled, for one shape.
    first = by_length[-args.batch :]
    if args.device == "cpu" and not args.tiny:
        first = [wav[: RATE * 2] for wav in first]
    cache = TargetCache(root, "benchmark")
    if any("cached" in setup for setup in args.setups):
        heard = {id(wav): wav for wav in (*wavs, *first)}
        fill(cache, make_hubert(args.tiny), list(heard.values()))
    steps = alternatives(args, cache)
    wanted = len(steps)
    flop = warm_up(steps, first, args.peak)
    peak = peak_flops(args.device, 512 if args.tiny else 8192) if args.peak else 0.0
    rows: dict[str, dict] = {name: {"step": name, "seconds": [], "speeds": []} for name in steps}
    orders = (wavs if name.startswith("plain") else by_length for name in steps)
    for turn in zip(*(batches(order, args.batch) for order in orders), strict=True):
        for (name, step), batch in zip(steps.items(), turn, strict=True):
            measure(rows[name], step, batch)
    made = [summary(row, rows["plain"], flop.get(name), peak) for name, row in rows.items()]
    return made, len(made) == wanted


def measure(row: dict, step: Step, batch: list[Tensor]) -> None:
    """One update; its figures are added to the row."""
    on_gpu = batch[0].is_cuda
    before = peak_memory("cuda", reset=True) if on_gpu else 0.0
    seconds = np.array(timed(step, batch))
    row["seconds"].append(float(seconds[0]))
    row["speeds"].append(sum(map(len, batch)) / RATE / seconds)
    if on_gpu:
        taken = peak_memory("cuda") - before + step.kept_bytes() / 1e6
        row["peak_gb"] = max(row.get("peak_gb", 0.0), taken / 1e3)


def summary(row: dict, plain: dict, flop: float | None, peak: float) -> dict:
    ratios, cpu_ratios = np.array(row["speeds"]).T / np.array(plain["speeds"]).T
    median = statistics.median(row["seconds"])
    made = {
        "step": row["step"],
        "audio_seconds_per_second": statistics.median(speed for speed, _ in row["speeds"]),
        "seconds": median,
        "ratio": statistics.median(ratios),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "range": f"{min(ratios):.2f} .. {max(ratios):.2f}",
        "cpu_ratio": statistics.median(cpu_ratios),
    }
    if "peak_gb" in row:
        made["peak_gb"] = row["peak_gb"]
    if flop is not None:  # of the longest batch; exact where all batches are as long
        made |= {"tflop": flop / 1e12, "peak_tflops": peak / 1e12, "share": flop / median / peak}
    return made


def scaling(args: argparse.Namespace) -> list[dict]:
    """One row for each batch size: seconds of audio, seconds and peak MB of a step."""
    torch.manual_seed(args.seed)
    teacher = make_teacher(make_hubert(args.tiny), args.device)
    step = our_step(teacher, make_student(teacher), args.device, args.amp[0])
    crop = torch.randn(int(CROP * RATE)).mul(0.1).to(args.device)
    step([crop])
    times: dict[int, list[float]] = {count: [] for count in range(1, args.crops + 1)}
    memory: dict[int, float] = dict.fromkeys(times, 0.0)
    for _ in range(args.rounds):
        for count in times:
            peak_memory(args.device, reset=True)
            clock, cpu = timed(step, [crop] * count)
            times[count].append(cpu if args.device == "cpu" else clock)
            memory[count] = max(memory[count], peak_memory(args.device))
    return [
        {
            "audio_seconds": CROP * count,
            # The fastest: what another process takes can only be added.
            "seconds": min(times[count]),
            "peak_mb": memory[count],
        }
        for count in times
    ]


def line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Slope, intercept and R^2 of the best-fitting straight line."""
    slope, intercept = np.polyfit(x, y, 1)
    rest = np.asarray(y) - np.polyval((slope, intercept), x)
    return float(slope), float(intercept), float(1 - rest.var() / np.var(y))


def plot(rows: list[dict], out: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    x = [row["audio_seconds"] for row in rows]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axis, key, label, unit in zip(
        axes, ("seconds", "peak_mb"), ("time of a step", "peak memory"), ("s", "MB"), strict=True
    ):
        y = [row[key] for row in rows]
        slope, intercept, fit = line(x, y)
        axis.plot(x, y, "o", label="measured")
        ends = np.array([0, max(x)])
        axis.plot(
            ends,
            slope * ends + intercept,
            label=f"{intercept:.3g} {unit} + {slope:.3g} {unit} per audio second\nR² = {fit:.4f}",
        )
        axis.set_xlabel("audio in the batch (s)")
        axis.set_ylabel(f"{label} ({unit})")
        axis.set_ylim(bottom=0)
        axis.set_xlim(left=0)
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(out, dpi=120)


COLUMNS = {
    "step": ("step", ""),
    "audio_seconds_per_second": ("audio s/s", ".1f"),
    "seconds": ("s a step", ".3f"),
    "ratio": ("ratio", ".2f"),
    "range": ("range", ">"),
    "cpu_ratio": ("by CPU time", ".2f"),
}
GPU_COLUMNS = {"peak_gb": ("peak GB", ".1f")}
PEAK_COLUMNS = {"tflop": ("TFLOP a step", ".2f"), "share": ("of matrix peak", ".1%")}
SCALING_COLUMNS = {
    "audio_seconds": ("audio, s", ".0f"),
    "seconds": ("step, s", ".2f"),
    "peak_mb": ("peak, MB", ".0f"),
}


def main() -> None:
    args = get_parser().parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.scaling:
        rows, columns, complete = scaling(args), SCALING_COLUMNS, True
        plot(rows, args.scaling)
    else:
        with tempfile.TemporaryDirectory() as root:
            rows, complete = compare(args, root)
        least, most = args.seconds
        print(f"{args.rounds} rounds of {args.batch} x {least:g} to {most:g} s, {args.device}")
        if args.device == "cpu":
            print(current())
        columns = dict(COLUMNS)
        if args.device != "cpu":
            del columns["cpu_ratio"]  # a GPU's time is not the CPU's
            columns |= GPU_COLUMNS
        if args.peak:
            columns |= PEAK_COLUMNS
            print(f"bf16 product of two matrices: {rows[0]['peak_tflops']:.1f} TFLOP/s")
    print(f"\n{table(rows, columns)}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    if not complete:
        sys.exit("error: benchmark_distill: a step failed, see above")


if __name__ == "__main__":
    main()
