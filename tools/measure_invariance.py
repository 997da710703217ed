#!/usr/bin/env python3
"""Effect of padding and of the rest of the batch on our features and ESPnet's ``huggingface`` ones.

    OMP_NUM_THREADS=1 python tools/measure_invariance.py [--seed 0]

The models are small, with random weights, in the forms their published ones have: Base with group
norm over time and, as transformers documents for them, no attention mask; Large with layer norm.
The features of each utterance alone are the reference. Stated are the largest differences of any
feature in valid frames, over the standard deviation of all: in a batch with longer utterances
(padding), and in a batch of utterances of the same length (batch). Frame lengths are right if they
are those of the convolution stack, floor((samples - 400) / 320) + 1.
"""

import argparse
import json
import tempfile
from pathlib import Path

import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet

# isort: split
import torch
from espnet2.asr.frontend.abs_frontend import AbsFrontend
from espnet2.asr.frontend.huggingface import HuggingFaceFrontend
from torch import Tensor
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioModel,
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)
from transformers.utils import logging as transformers_logging

from espnet_robust.models.speech_model import load_teacher, write_preprocessor_config
from espnet_robust.models.student import StudentConfig, build_student, save_student
from espnet_robust.plugin.frontend import RobustFrontend

SHAPE = {
    "hidden_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 192,
    "conv_dim": [64] * 7, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip
BASE = {"feat_extract_norm": "group"}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
MODELS = {
    "HuBERT Base": (HubertConfig, HubertModel, BASE),
    "HuBERT Large": (HubertConfig, HubertModel, LARGE),
    "WavLM Base": (WavLMConfig, WavLMModel, BASE),
    "WavLM Large": (WavLMConfig, WavLMModel, LARGE),
    "wav2vec 2.0 Base": (Wav2Vec2Config, Wav2Vec2Model, BASE),
    "wav2vec 2.0 Large": (Wav2Vec2Config, Wav2Vec2Model, LARGE),
    "data2vec": (Data2VecAudioConfig, Data2VecAudioModel, {}),
}
STUDENTS = ("HuBERT Base", "HuBERT Large")  # students of these, two layers
LENGTHS = (8000, 12345, 16000, 24001, 31999, 64000)  # samples


def make_model(name: str, directory: Path, seed: int) -> None:
    config, model, options = MODELS[name]
    torch.manual_seed(seed)
    model(config(**SHAPE, **options)).save_pretrained(directory)
    write_preprocessor_config(directory, normalize=True)
    path = directory / "preprocessor_config.json"
    content = json.loads(path.read_text()) | {"return_attention_mask": options is not BASE}
    path.write_text(json.dumps(content))


def measure(frontend: AbsFrontend, seed: int) -> tuple[float, float, str]:
    """(difference by padding, by batch mates, verdict on the frame lengths)."""
    frontend.eval()
    generator = torch.Generator().manual_seed(seed)
    wavs = [0.1 * torch.randn(n, generator=generator) for n in LENGTHS]
    same = [0.1 * torch.randn(16000, generator=generator) for _ in range(8)]
    with torch.no_grad():
        padding, lengths = against_alone(frontend, wavs)
        batch, _ = against_alone(frontend, same)
    expected = [frames(n) for n in LENGTHS]
    if lengths == expected:
        return padding, batch, "right"
    if lengths == list(LENGTHS):
        return padding, batch, "numbers of samples"
    return padding, batch, f"{len(lengths)} for {len(expected)} utterances"


def against_alone(frontend: AbsFrontend, wavs: list[Tensor]) -> tuple[float, list[int]]:
    """Largest difference from each utterance alone, in standard deviations; frame lengths."""
    counts = torch.tensor([len(wav) for wav in wavs])
    padded = torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True)
    together, lengths = frontend(padded, counts)
    alone = [frontend(wav[None], torch.tensor([len(wav)]))[0][0] for wav in wavs]
    scale = torch.cat(alone).std()
    worst = 0.0
    for row, own, wav in zip(together, alone, wavs, strict=True):
        n = frames(len(wav))
        worst = max(worst, float((row[:n] - own[:n]).abs().max() / scale))
    return worst, lengths.tolist()


def frames(samples: int) -> int:
    return (samples - 400) // 320 + 1


def row(name: str, cells: tuple[float, float, str]) -> str:
    padding, batch, verdict = cells
    return f"| {name} | {padding:.1e} | {batch:.1e} | {verdict} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    print("| model, frontend | padding | batch | frame lengths |\n|---|---:|---:|---|")
    with tempfile.TemporaryDirectory() as root:
        for name in MODELS:
            directory = Path(root) / name.replace(" ", "_")
            make_model(name, directory, seed)
            ours = RobustFrontend(student={"hf": str(directory)}, layers="last")
            print(row(f"{name}, `robust_student`", measure(ours, seed)))
            theirs = HuggingFaceFrontend(str(directory))
            print(row(f"{name}, `huggingface`", measure(theirs, seed)))
        for name in STUDENTS:
            directory = Path(root) / name.replace(" ", "_")
            student = build_student(load_teacher(directory), StudentConfig())
            save_student(student, directory / "student", {})
            ours = RobustFrontend(student={"path": str(directory / "student")})
            print(row(f"student of {name}, `robust_student`", measure(ours, seed)))


if __name__ == "__main__":
    main()
