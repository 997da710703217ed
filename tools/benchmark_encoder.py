#!/usr/bin/env python3
"""A training step of ``encoder: blstm`` beside that of ESPnet's ``encoder: rnn``.

    OMP_NUM_THREADS=1 python tools/benchmark_encoder.py

Encoders of ``conf/asr/ctc.yaml`` on 192 features take forward and backward of the same batches of
about 32 s, by turns. Stated is this process's CPU time, which other processes hardly touch.
"""

import time
from pathlib import Path

import torch
from espnet2.asr.encoder.rnn_encoder import RNNEncoder
from torch import nn

from espnet_robust.common.config import read_yaml
from espnet_robust.plugin.blstm import BLSTMEncoder

CONF = Path(__file__).resolve().parents[1] / "conf/asr/ctc.yaml"
BATCHES = {"12 utterances of 2.8 s": (12, 140), "3 utterances of 12 s": (3, 600)}  # frames of 20 ms
FEATURES = 192
ROUNDS = 10


def main() -> None:
    torch.manual_seed(0)
    conf = read_yaml(CONF)["encoder_conf"]
    encoders = {"rnn": RNNEncoder(FEATURES, **conf), "blstm": BLSTMEncoder(FEATURES, **conf)}
    print("| batch | rnn, s | blstm, s | ratio |\n|---|---:|---:|---:|")
    for name, (utterances, frames) in BATCHES.items():
        x = torch.randn(utterances, frames, FEATURES)
        lengths = torch.linspace(frames, 0.8 * frames, utterances).long()
        seconds = dict.fromkeys(encoders, 0.0)
        for encoder in encoders.values():
            step(encoder, x, lengths)  # the first has to set itself up
        for _ in range(ROUNDS):
            for kind, encoder in encoders.items():
                seconds[kind] += step(encoder, x, lengths)
        rnn, blstm = (seconds[kind] / ROUNDS for kind in ("rnn", "blstm"))
        print(f"| {name} | {rnn:.3f} | {blstm:.3f} | {rnn / blstm:.1f} |")


def step(encoder: nn.Module, x: torch.Tensor, lengths: torch.Tensor) -> float:
    """CPU seconds of forward and backward."""
    began = time.process_time()
    encoder(x, lengths)[0].sum().backward()
    return time.process_time() - began


if __name__ == "__main__":
    main()
