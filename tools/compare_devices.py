#!/usr/bin/env python3
"""Compare GPU results with CPU results: speech models, frontend, recogniser.

    python tools/compare_devices.py [--device cuda]

The recogniser is that of ``conf/asr/ctc.yaml`` on a student of the teacher of ``egs/mini/asr1``,
with random weights of its own. For hidden states and features it prints the largest difference in
any valid frame over the standard deviation of all, for CTC the largest difference of a log
probability. By default cuDNN rounds the inputs of convolutions to TF32 (10 bits), and decoding does
not change that. So the differences with torch's defaults must stay within 1e-3; otherwise the exit
status is 1.
"""

import argparse
import copy
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from benchmark_frontend import recogniser
from distill_steps import make_hubert, make_teacher
from markdown_table import table
from torch import Tensor, nn
from transformers.utils import logging as transformers_logging

from espnet_robust import register
from espnet_robust.common.config import read_yaml
from espnet_robust.common.experiment import lay_over
from espnet_robust.models.speech_model import load_teacher
from espnet_robust.models.student import StudentConfig, build_student, save_student

ROOT = Path(__file__).resolve().parents[1]
LENGTHS = (31999, 24001, 16000, 12345)  # samples
TOLERANCE = 1e-3
COLUMNS = {
    "what": ("", ""),
    "default": ("torch's defaults", ".1e"),
    "no_tf32": ("cuDNN without TF32", ".1e"),
}
# Models, samples and lengths -> frames (B, T, D) and their number (B,).
Compute = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a small HuBERT, to see that it runs")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser


def last_layer(model: nn.Module, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    hidden = model(wav, lengths)
    return hidden.states[model.num_layers], hidden.lengths


def features(model: nn.Module, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    return model.frontend(wav, lengths)


def log_probabilities(model: nn.Module, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    encoded, frames = model.encode(wav, lengths)
    return model.ctc.log_softmax(encoded), frames


def make_recogniser() -> nn.Module:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        teacher = load_teacher(ROOT / "egs/mini/asr1/teacher")
        save_student(build_student(teacher, StudentConfig()), root / "student", {})
        conf = {"frontend_conf": {"student": {"path": str(root / "student")}, "cache_gb": 0}}
        speech = read_yaml(ROOT / "conf/downstream/speech_model.yaml")
        return recogniser(lay_over(speech, conf), root).eval()


def compared(tiny: bool) -> dict[str, tuple[nn.Module, Compute, bool]]:
    """Name -> model, what it computes, whether that has a scale of its own."""
    model = make_recogniser()
    return {
        "HuBERT Base shape, last layer": (
            make_teacher(make_hubert(tiny), "cpu"),
            last_layer,
            False,
        ),
        "student, last layer": (model.frontend.speech_model, last_layer, False),
        "frontend": (model, features, False),
        "CTC log probabilities": (model, log_probabilities, True),
    }


@torch.inference_mode()
def valid(model: nn.Module, compute: Compute, wav: Tensor, lengths: Tensor) -> Tensor:
    """Results for valid frames, computed on the model's device and moved to the CPU."""
    device = next(model.parameters()).device
    frames, numbers = compute(model, wav.to(device), lengths.to(device))
    return torch.cat([row[:n] for row, n in zip(frames, numbers.tolist(), strict=True)]).cpu()


def main() -> None:
    args = get_parser().parse_args()
    transformers_logging.disable_progress_bar()
    register()
    torch.manual_seed(0)
    wav, lengths = 0.1 * torch.randn(len(LENGTHS), max(LENGTHS)), torch.tensor(LENGTHS)
    default, rows = torch.backends.cudnn.allow_tf32, []
    for name, (model, compute, absolute) in compared(args.tiny).items():
        expected = valid(model, compute, wav, lengths)
        scale = 1.0 if absolute else float(expected.std())
        there, row = copy.deepcopy(model).to(args.device), {"what": name}
        for key, tf32 in (("default", default), ("no_tf32", False)):
            torch.backends.cudnn.allow_tf32 = tf32
            found = valid(there, compute, wav, lengths)
            row[key] = float((found - expected).abs().max()) / scale
        rows.append(row)
    print(f"{args.device} against cpu\n\n{table(rows, COLUMNS)}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    # Not a comparison, in which NaN would pass.
    if not all(row["no_tf32"] <= TOLERANCE for row in rows):  # as decoding sets it
        sys.exit(f"error: compare_devices: more than {TOLERANCE} apart, see the table")


if __name__ == "__main__":
    main()
