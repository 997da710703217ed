#!/usr/bin/env python3
"""Speed of a distillation step at full size, side by side with a plain one.

    OMP_NUM_THREADS=2 python tools/benchmark_distill.py [--amp bf16] [--device cuda]
    OMP_NUM_THREADS=2 python tools/benchmark_distill.py --scaling OUT.png

HuBERT Base shape with random weights (95 M parameters) teaches a student of its convolutions and
first two layers (23.5 M), targets are layers 4, 8 and 12, the loss L1 + log-sigmoid cosine, the
optimizer AdamW. Utterances last 9 to 14 s, four make a batch.

    plain           transformers' models, output_hidden_states, attention mask, fp32; batches of
                    random utterances, padded with zeros to the longest
    setup2          ours; batches of similar length, as batch_type numel makes them
    setup1 cached   the same, with the teacher's answers on disk

All hear the same utterances, a batch by turns, so that a busy machine slows all. Stated are audio
seconds (without padding) per second, the ratio to plain as median and range over the rounds, and
the same ratio per second of this process's CPU time, which other processes hardly touch.
Reading and distorting, done by other processes, is not counted; reading the cache is.

``--scaling`` plots time (on a CPU the process's CPU time) and peak memory of a setup2 step against
the audio seconds in the batch, made of crops of 10 s, with the straight line that fits best.
"""

import argparse
import copy
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import HubertConfig, HubertModel

from espnet_robust.distill.cache import TargetCache
from espnet_robust.distill.config import AMP
from espnet_robust.distill.model import DistillModel
from espnet_robust.distill.targets import Targets
from espnet_robust.models.audio_key import audio_key
from espnet_robust.models.speech_model import SpeechModel, build_speech_model
from espnet_robust.models.student import StudentConfig, build_student

RATE = 16000
LAYERS = (4, 8, 12)
BATCH = 4
SECONDS = (9.0, 14.0)
CROP = 10.0  # of --scaling
Step = Callable[[Sequence[Tensor]], None]  # one update on a batch of utterances (N,)


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4, help="batches that each alternative gets")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--amp", choices=AMP, default="none", help="a row more: setup2 with it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scaling", type=Path, metavar="OUT.png", help="plot instead")
    parser.add_argument("--crops", type=int, default=5, help="of --scaling: crops in the largest")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser


class Plain(nn.Module):
    """What one writes first: the library's models and nothing else."""

    def __init__(self, teacher: HubertModel):
        super().__init__()
        self.teacher = [teacher.eval()]
        config = copy.deepcopy(teacher.config)
        config.num_hidden_layers = 2
        config.apply_spec_augment = False
        config.layerdrop = 0.0
        self.student = HubertModel(config)
        self.heads = nn.ModuleList(
            nn.Linear(config.hidden_size, config.hidden_size) for _ in LAYERS
        )

    def forward(self, wav: Tensor, lengths: Tensor) -> Tensor:
        mask = (torch.arange(wav.shape[1], device=wav.device) < lengths[:, None]).long()
        with torch.no_grad():
            states = self.teacher[0](wav, attention_mask=mask, output_hidden_states=True)
        last = self.student(wav, attention_mask=mask, output_hidden_states=True).last_hidden_state
        frames = self.student._get_feat_extract_output_lengths(lengths)
        valid = torch.arange(last.shape[1], device=wav.device) < frames[:, None]
        loss = 0.0
        for head, layer in zip(self.heads, LAYERS, strict=True):
            s, t = head(last)[valid], states.hidden_states[layer][valid]
            loss = loss + F.l1_loss(s, t) - F.logsigmoid(F.cosine_similarity(s, t, -1)).mean()
        return loss / len(LAYERS)


def padded(wavs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """(B, N) with zeros behind the shorter ones, (B,) samples."""
    lengths = torch.tensor([len(wav) for wav in wavs], device=wavs[0].device)
    return nn.utils.rnn.pad_sequence(list(wavs), batch_first=True), lengths


def update(model: nn.Module, loss_of: Callable[[Sequence[Tensor]], Tensor]) -> Step:
    """A step as ESPnet's trainer does it."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-4)

    def step(wavs: Sequence[Tensor]) -> None:
        loss_of(wavs).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def plain_step(teacher: HubertModel, device: str) -> Step:
    model = Plain(teacher.to(device)).to(device).train()
    return update(model, lambda wavs: model(*padded(wavs)))


def our_step(
    teacher: SpeechModel, device: str, amp: str = "none", cache: TargetCache | None = None
) -> Step:
    student = build_student(teacher, StudentConfig())
    student.encoder.masked_spec_embed.requires_grad_(False)
    targets = Targets([teacher], LAYERS, cache=cache)
    losses = {"l1": 1.0, "cosine": 1.0}
    model = DistillModel(targets, student, losses, amp=AMP[amp]).to(device).train()

    def loss_of(wavs: Sequence[Tensor]) -> Tensor:
        wav, lengths = padded(wavs)
        domain = torch.zeros(len(wav), 1, dtype=torch.long, device=wav.device)
        return model(wav, lengths, wav, lengths, domain)[0].squeeze()

    return update(model, loss_of)


def fill(cache: TargetCache, teacher: SpeechModel, wavs: Sequence[Tensor]) -> None:
    """With numbers in the teacher's shape: what they are does not change the speed."""
    for wav in wavs:
        shape = (teacher.num_frames(len(wav)), teacher.hidden_size)
        cache.put(audio_key(wav), {str(layer): torch.randn(shape) for layer in LAYERS})


def batches(wavs: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    for start in range(0, len(wavs), BATCH):
        yield list(wavs[start : start + BATCH])


def timed(step: Step, wavs: Sequence[Tensor]) -> tuple[float, float]:
    """Seconds by the clock and of this process's CPU time."""
    start, start_cpu = time.perf_counter(), time.process_time()
    step(wavs)
    if wavs[0].is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start, time.process_time() - start_cpu


def compare(args: argparse.Namespace, root: str) -> list[dict]:
    """One row an alternative."""
    rng = np.random.default_rng(args.seed)
    sizes = (rng.uniform(*SECONDS, args.rounds * BATCH) * RATE).astype(int)
    wavs = [torch.randn(int(n)).mul(0.1).to(args.device) for n in sizes]
    by_length = sorted(wavs, key=len)
    hubert = HubertModel(HubertConfig())
    teacher = build_speech_model(copy.deepcopy(hubert), normalize=False)
    teacher = teacher.requires_grad_(False).eval().to(args.device)
    cache = TargetCache(root, "benchmark")
    fill(cache, teacher, wavs)
    alternatives = {
        "plain": (plain_step(hubert, args.device), wavs),
        "setup2": (our_step(teacher, args.device), by_length),
        "setup1 cached": (our_step(teacher, args.device, cache=cache), by_length),
    }
    if args.amp != "none":
        alternatives[f"setup2 {args.amp}"] = (our_step(teacher, args.device, args.amp), by_length)
    short = [wav[: RATE * 2] for wav in wavs[:BATCH]]
    fill(cache, teacher, short)
    for step, _ in alternatives.values():  # a first step allocates and compiles
        step(short)
    speeds: dict[str, list[np.ndarray]] = {name: [] for name in alternatives}
    turns = itertools.zip_longest(*(batches(heard) for _, heard in alternatives.values()))
    for turn in turns:
        for (name, (step, _)), batch in zip(alternatives.items(), turn, strict=True):
            speeds[name].append(sum(map(len, batch)) / RATE / np.array(timed(step, batch)))
    rows = []
    for name, values in speeds.items():
        ratios, cpu_ratios = np.array(values).T / np.array(speeds["plain"]).T
        rows.append(
            {
                "step": name,
                "audio_seconds_per_second": statistics.median(speed for speed, _ in values),
                "ratio": statistics.median(ratios),
                "ratios": [round(ratio, 3) for ratio in ratios],
                "cpu_ratio": statistics.median(cpu_ratios),
            }
        )
    return rows


def peak_memory(device: str, reset: bool = False) -> float:
    """MB since the last reset: of this process, or of the GPU's allocator."""
    if device != "cpu":
        if reset:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated() / 1e6
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def scaling(args: argparse.Namespace) -> list[dict]:
    """One row a size of batch: seconds of audio, seconds and peak MB of a step."""
    torch.manual_seed(args.seed)
    teacher = build_speech_model(HubertModel(HubertConfig()), normalize=False)
    step = our_step(teacher.requires_grad_(False).eval().to(args.device), args.device, args.amp)
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
    """Slope, intercept and R^2 of the straight line that fits best."""
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


def main() -> None:
    args = get_parser().parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.scaling:
        rows = scaling(args)
        plot(rows, args.scaling)
        print(f"{'audio s':>8}{'step s':>8}{'peak MB':>9}")
        for row in rows:
            print(f"{row['audio_seconds']:8.0f}{row['seconds']:8.2f}{row['peak_mb']:9.0f}")
    else:
        with tempfile.TemporaryDirectory() as root:
            rows = compare(args, root)
        print(f"{args.rounds} rounds of {BATCH} x {SECONDS[0]:g}..{SECONDS[1]:g} s")
        print(f"{'step':16}{'audio-s/s':>10}{'ratio':>7}{'by CPU':>8}  range of ratios")
        for row in rows:
            print(
                f"{row['step']:16}{row['audio_seconds_per_second']:10.2f}{row['ratio']:7.2f}"
                f"{row['cpu_ratio']:8.2f}"
                f"  {min(row['ratios']):.2f} .. {max(row['ratios']):.2f}"
            )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
