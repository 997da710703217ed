#!/usr/bin/env python3
"""Time of a frozen student in each epoch of ASR training, with and without cached features.

    OMP_NUM_THREADS=1 python tools/benchmark_frontend.py [--student DIR] [--seconds 600]

Recognisers of ``conf/asr/ctc.yaml`` take turns at a training step on the same batch, so that other
load slows all of them: on the student without a cache, with ``cache_gb``, and on log-mel features.
The audio is noise in utterances of 1 to 4 s, shuffled into other batches in each epoch. Without
``--student`` it is one of two layers from the teacher of ``egs/mini/asr1``. Reading audio is not
timed.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet

# isort: split
import numpy as np
import torch
import yaml
from espnet2.tasks.asr import ASRTask
from torch import nn
from transformers.utils import logging as transformers_logging

from espnet_robust import register
from espnet_robust.common.config import read_yaml
from espnet_robust.common.experiment import lay_over
from espnet_robust.models.speech_model import load_teacher
from espnet_robust.models.student import StudentConfig, build_student, save_student

ROOT = Path(__file__).resolve().parents[1]
RATE = 16000
TOKENS = ["<blank>", "<unk>", *(f"t{i}" for i in range(147)), "<sos/eos>"]
TOKENS_A_SECOND = 6


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--student", type=Path, help="student directory")
    parser.add_argument("--seconds", type=float, default=600.0, help="audio in an epoch")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--cache_gb", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def recogniser(frontend: dict, root: Path) -> nn.Module:
    """The model that ``asr_train`` builds from ``conf/asr/ctc.yaml`` and the frontend's options."""
    path = root / "train.yaml"
    path.write_text(yaml.safe_dump(lay_over(read_yaml(ROOT / "conf/asr/ctc.yaml"), frontend)))
    args = ASRTask.get_parser().parse_args(["--config", str(path), "--output_dir", str(root)])
    args.token_list = TOKENS
    return ASRTask.build_model(args).train()


def utterances(seconds: float, rng: np.random.Generator) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Samples and token ids."""
    made = []
    while seconds > 0:
        length = rng.uniform(1, 4)
        wav = 0.1 * rng.standard_normal(round(length * RATE), dtype=np.float32)
        text = rng.integers(2, len(TOKENS) - 1, round(length * TOKENS_A_SECOND))
        made.append((torch.from_numpy(wav), torch.from_numpy(text)))
        seconds -= length
    return made


def batches(made: list, bins: int, rng: np.random.Generator) -> Iterator[dict[str, torch.Tensor]]:
    """Shuffled batches of at most ``bins`` padded samples, longest utterance first."""
    order, chosen = list(rng.permutation(len(made))), []
    while order:
        chosen.append(made[order.pop()])
        longest = max(len(wav) for wav, _ in chosen)
        if not order or longest * (len(chosen) + 1) > bins:
            chosen.sort(key=lambda utterance: -len(utterance[0]))
            wavs, texts = zip(*chosen, strict=True)
            yield {
                "speech": nn.utils.rnn.pad_sequence(wavs, batch_first=True),
                "speech_lengths": torch.tensor([len(wav) for wav in wavs]),
                "text": nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=-1),
                "text_lengths": torch.tensor([len(text) for text in texts]),
            }
            chosen = []


def main() -> None:
    args = get_parser().parse_args()
    transformers_logging.disable_progress_bar()
    register()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        student = args.student or root / "student"
        if args.student is None:
            teacher = load_teacher(ROOT / "egs/mini/asr1/teacher")
            save_student(build_student(teacher, StudentConfig()), student, {})
        speech = read_yaml(ROOT / "conf/downstream/speech_model.yaml")
        speech["frontend_conf"] |= {"student": {"path": str(student)}, "cache_gb": 0}
        cached = lay_over(speech, {"frontend_conf": {"cache_gb": args.cache_gb}})
        systems = {
            "student, `cache_gb: 0`": recogniser(speech, root),
            f"student, `cache_gb: {args.cache_gb:g}`": recogniser(cached, root),
            "log-mel": recogniser(read_yaml(ROOT / "conf/asr/logmel.yaml"), root),
        }
    optimizers = {name: torch.optim.AdamW(m.parameters(), 1e-4) for name, m in systems.items()}
    made = utterances(args.seconds, rng)
    bins = read_yaml(ROOT / "conf/downstream/train.yaml")["batch_bins"]
    seconds = {name: [] for name in systems}
    for _ in range(args.epochs):
        for name in systems:
            seconds[name].append(0.0)
        for batch in batches(made, bins, rng):
            for name, model in systems.items():
                began = time.perf_counter()
                optimizers[name].zero_grad()
                model(**batch)[0].backward()
                optimizers[name].step()
                seconds[name][-1] += time.perf_counter() - began
    print(f"seconds for an epoch of {sum(len(wav) for wav, _ in made) / RATE:.0f} s of audio\n")
    print(f"| | {' | '.join(f'epoch {i + 1}' for i in range(args.epochs))} |")
    print("|---|" + "---:|" * args.epochs)
    for name, times in seconds.items():
        print(f"| {name} | {' | '.join(f'{t:.2f}' for t in times)} |")


if __name__ == "__main__":
    main()
