#!/usr/bin/env python3
"""How long a distillation step waits for its data, against the number of workers.

    python tools/benchmark_loading.py [--device cuda --batch 24 --workers 1 2 4 8 16]

The step is a setup2 step with adversary of ``distill_steps.py``, in bf16. Its batches come as in
``distill_train``: ESPnet's dataset reads FLAC files, ``Views`` makes two views of each with
``conf/distortion/train.yaml``, and workers of a DataLoader collate them. Audio, noises and rooms
are generated (``make_noise_corpus.py``).
"""

import argparse
import itertools
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from distill_steps import RATE, Step, make_hubert, make_student, make_teacher, our_step
from espnet2.torch_utils.device_funcs import to_device
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.train.dataset import ESPnetDataset
from make_noise_corpus import make
from markdown_table import table
from torch.utils.data import DataLoader

from espnet_robust.common.config import read_yaml
from espnet_robust.distill.domains import AdversaryConfig, domain_labels
from espnet_robust.distill.views import Views
from espnet_robust.distortion import load_distortion

CHAIN = Path(__file__).resolve().parents[1] / "conf/distortion/train.yaml"
COLUMNS = {
    "workers": ("workers", "d"),
    "share_waiting": ("waiting for data", ".1%"),
    "together": ("trained, audio s/s", ".0f"),
    "trained": ("without waiting", ".0f"),
    "batches": ("batches", "d"),
}


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, default=4, help="utterances in a batch")
    parser.add_argument("--seconds", type=float, default=15.6, help="of an utterance")
    parser.add_argument("--limit", type=float, default=8.0, help="seconds a number of workers")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tiny", action="store_true", help="small models, to see that it runs")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser


def make_dataset(step: Step, batch: int, seconds: float) -> ESPnetDataset:
    """Generate ``data/train``, which ESPnet reads, with our views."""
    make(Path("data"), seconds, utterances=2 * batch)
    distorter = load_distortion(read_yaml(CHAIN))
    views = Views(
        mapping="setup2",
        distorter=distorter,
        labels=domain_labels(distorter.kinds, AdversaryConfig()),
        seed=0,
        crop=round(seconds * RATE),
        frames=step.model.student.frames,
        train=True,
    )
    audio = ("data/train/wav.scp", "speech", "sound")
    return ESPnetDataset([audio], preprocess=views, float_dtype="float32")


def batches(dataset: ESPnetDataset, batch: int, workers: int, device: str) -> DataLoader:
    """The loader of ESPnet's sequence iterator, with repeated utterances."""
    ids = np.resize(list(dataset.loader_dict["speech"]), 1000 * batch)
    return DataLoader(
        dataset,
        batch_sampler=ids.reshape(-1, batch).tolist(),
        collate_fn=CommonCollateFn(float_pad_value=0.0, int_pad_value=0),
        num_workers=workers,
        pin_memory=device != "cpu",
    )


def train(step: Step, batch: dict, device: str) -> float:
    """One update; the seconds of audio in it."""
    loss = step.model(**to_device(batch, device))[0]
    step.apply(loss.squeeze())
    if device != "cpu":
        torch.cuda.synchronize()
    return int(batch["speech_lengths"].sum()) / RATE


def measure(step: Step, loader: DataLoader, limit: float, device: str) -> dict:
    """Figures of a few updates, of ``limit`` seconds or a little more.

    Workers start together, so the first batch of each arrives with those of the others, as do the
    next for a while: what is counted is a whole number of batches from each, after its first.
    """
    skipped = max(2, loader.num_workers)
    waiting, training, audio = [], [], []
    began = time.perf_counter()
    last = began
    for _, batch in loader:
        ready = time.perf_counter()
        audio.append(train(step, batch, device))
        done = time.perf_counter()
        waiting.append(ready - last)
        training.append(done - ready)
        last = done
        counted = len(audio) - skipped
        if done - began > limit and counted > 0 and counted % loader.num_workers == 0:
            break
    waiting, training, audio = (values[skipped:] for values in (waiting, training, audio))
    total = sum(waiting) + sum(training)
    return {
        "workers": loader.num_workers,
        "share_waiting": sum(waiting) / total,
        "together": sum(audio) / total,
        "trained": sum(audio) / sum(training),
        "batches": len(audio),
    }


def main() -> None:
    args = get_parser().parse_args()
    out = args.json and args.json.resolve()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    teacher = make_teacher(make_hubert(args.tiny), args.device)
    step = our_step(teacher, make_student(teacher), args.device, "bf16", adversary=True)
    with tempfile.TemporaryDirectory() as root:
        os.chdir(root)  # paths in the chain are relative
        dataset = make_dataset(step, args.batch, args.seconds)
        for _, batch in itertools.islice(batches(dataset, args.batch, 1, args.device), 2):
            train(step, batch, args.device)  # a GPU's kernels are chosen
        rows = [
            measure(step, batches(dataset, args.batch, n, args.device), args.limit, args.device)
            for n in args.workers
        ]
        os.chdir("/")
    print(f"batches of {args.batch} x {args.seconds:g} s, {os.cpu_count()} CPUs, {args.device}\n")
    print(table(rows, COLUMNS))
    if out:
        out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
