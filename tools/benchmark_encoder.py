#!/usr/bin/env python3
"""Compare a training step of ``encoder: blstm`` with one of ESPnet's ``encoder: rnn``.

    OMP_NUM_THREADS=1 python tools/benchmark_encoder.py [--device cuda]

Encoders of ``conf/asr/ctc.yaml`` on 192 features take turns at forward and backward passes of the
same batches of about 32 s. It prints this process's CPU time, which other processes hardly affect;
on a GPU it prints wall-clock time, and adds larger batches.
"""

import argparse
import json
import time
from pathlib import Path

import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet

# isort: split
import torch
from espnet2.asr.encoder.rnn_encoder import RNNEncoder
from markdown_table import table
from torch import nn

from espnet_robust.common.config import read_yaml
from espnet_robust.plugin.blstm import BLSTMEncoder

CONF = Path(__file__).resolve().parents[1] / "conf/asr/ctc.yaml"
BATCHES = {"12 utterances of 2.8 s": (12, 140), "3 utterances of 12 s": (3, 600)}  # frames of 20 ms
GPU_BATCHES = {"96 utterances of 2.8 s": (96, 140), "48 utterances of 12 s": (48, 600)}
FEATURES = 192
COLUMNS = {
    "batch": ("batch", ""),
    "rnn": ("rnn, s", ".3f"),
    "blstm": ("blstm, s", ".3f"),
    "ratio": ("ratio", ".1f"),
}


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser


def main() -> None:
    args = get_parser().parse_args()
    torch.manual_seed(0)
    conf = read_yaml(CONF)["encoder_conf"]
    encoders = {"rnn": RNNEncoder(FEATURES, **conf), "blstm": BLSTMEncoder(FEATURES, **conf)}
    for encoder in encoders.values():
        encoder.to(args.device)
    rows = []
    sizes = BATCHES if args.device == "cpu" else BATCHES | GPU_BATCHES
    for name, (utterances, frames) in sizes.items():
        x = torch.randn(utterances, frames, FEATURES, device=args.device)
        lengths = torch.linspace(frames, 0.8 * frames, utterances).long().to(args.device)
        seconds = dict.fromkeys(encoders, 0.0)
        for encoder in encoders.values():
            step(encoder, x, lengths)  # the first has to set itself up
        for _ in range(args.rounds):
            for kind, encoder in encoders.items():
                seconds[kind] += step(encoder, x, lengths) / args.rounds
        rows.append({"batch": name, **seconds, "ratio": seconds["rnn"] / seconds["blstm"]})
    print(table(rows, COLUMNS))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


def step(encoder: nn.Module, x: torch.Tensor, lengths: torch.Tensor) -> float:
    """Seconds of a forward and backward pass: CPU time, or on a GPU wall-clock time."""
    clock = time.perf_counter if x.is_cuda else time.process_time
    began = clock()
    encoder(x, lengths)[0].sum().backward()
    if x.is_cuda:
        torch.cuda.synchronize()
    return clock() - began


if __name__ == "__main__":
    main()
