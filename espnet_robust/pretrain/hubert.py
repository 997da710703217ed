"""Pretraining of a small HuBERT: masked prediction of k-means units (arXiv:2106.07447).

The units are k-means clusters of MFCCs or, in a second round, of a layer of an earlier model.
All randomness is keyed by the seed and the step, so that a resumed run equals an uninterrupted one.
"""

import csv
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
import yaml
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor, nn
from tqdm import tqdm
from transformers import HubertConfig, HubertModel

from espnet_robust.config import read_config
from espnet_robust.data.audio import RATE, read_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.errors import ConfigError, DataDirError
from espnet_robust.models.padding import frame_mask
from espnet_robust.models.spans import independent_spans
from espnet_robust.models.speech_model import (
    SpeechModel,
    build_speech_model,
    load_teacher,
    write_preprocessor_config,
)

KMEANS_FRAMES = 200_000  # clusters of MFCCs do not change beyond this many


@dataclass(frozen=True)
class PretrainConfig:
    """What the YAML of a pretraining run says.

    Attributes:
        model: HubertConfig options.
        clusters: number of units.
        units: ``{from: mfcc}``, or ``{from: DIR, layer: N}`` for the features of another model.
        steps: updates. ``warmup`` of them raise the learning rate linearly; it then falls to 0.
        batch_seconds: audio seconds in a batch.
        max_seconds: longer utterances are cropped at random to this many seconds.
        mask_prob, mask_frames: each frame starts a masked span with this probability.
        unmasked_weight: weight of the loss on unmasked frames beside that on masked ones. HuBERT's
            alpha; above 0 the convolutions learn the units' acoustics within few steps.
        precision: fp32, or bf16 where the processor has it (about 1.5 times as fast).
    """

    model: dict[str, Any]
    clusters: int
    steps: int
    units: dict[str, Any] = field(default_factory=lambda: {"from": "mfcc"})
    batch_seconds: float = 80.0
    max_seconds: float = 8.0
    lr: float = 1e-3
    warmup: int = 100
    weight_decay: float = 0.01
    clip: float = 5.0
    mask_prob: float = 0.08
    mask_frames: int = 10
    unmasked_weight: float = 0.0
    precision: str = "fp32"
    seed: int = 0
    log_every: int = 50
    save_every: int = 250

    def __post_init__(self):
        if self.precision not in ("fp32", "bf16"):
            raise ConfigError(f"precision: {self.precision!r} is not fp32 or bf16")
        if self.units.get("from") != "mfcc" and "layer" not in self.units:
            raise ConfigError("units: a directory in `from` needs `layer`, or write {from: mfcc}")


class MaskedPrediction(nn.Module):
    """HuBERT with a linear head over the units."""

    def __init__(self, config: PretrainConfig):
        super().__init__()
        # The encoder's own masking is off in it: masked spans are passed explicitly.
        encoder = HubertModel(HubertConfig(**config.model))
        self.speech_model = build_speech_model(encoder, normalize=True)
        self.head = nn.Linear(self.speech_model.hidden_size, config.clusters)
        self.unmasked_weight = config.unmasked_weight

    def forward(
        self, wav: Tensor, lengths: Tensor, units: Tensor, masked: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Loss, and accuracy on masked frames.

        wav (B, N), lengths (B,), units (B, T) int64 with -1 in the padding, masked (B, T) bool.
        """
        hidden = self.speech_model(wav, lengths, mask_time_indices=masked)
        logits = self.head(hidden.states[self.speech_model.num_layers]).float()
        loss = nn.functional.cross_entropy(logits[masked], units[masked])
        if self.unmasked_weight:
            heard = ~masked & (units >= 0)
            other = nn.functional.cross_entropy(logits[heard], units[heard])
            loss = loss + self.unmasked_weight * other
        accuracy = (logits[masked].argmax(-1) == units[masked]).float().mean()
        return loss, accuracy


def pretrain(config_path: Path, data_dirs: Sequence[Path], out: Path) -> None:
    """Pretrain on the audio of the data dirs; write a transformers directory ``out``.

    Resumes from ``out``.work, which is kept beside it.

    Raises:
        ConfigError, DataDirError, AudioError: see their messages.
    """
    config = read_config(config_path, PretrainConfig)
    work = out.with_name(out.name + ".work")
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    model = MaskedPrediction(config)
    speech_model = model.speech_model

    wavs = _read_all(data_dirs, speech_model.min_samples)
    units = _units(config, wavs, speech_model, work / "units.npz")

    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.lr, betas=(0.9, 0.98), weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: _lr_scale(n, config))
    checkpoint = work / "checkpoint.pth"
    first, seconds = 0, 0.0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        if state["config"] != yaml.safe_dump(vars(config)):
            raise ConfigError(f"{checkpoint}: made with another {config_path}; delete {work}")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first, seconds = state["step"], state["seconds"]
        logging.info("resuming at step %d", first)

    model.train()
    began = time.monotonic() - seconds
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16")
    batches = _batches([len(w) for w in wavs], config, first)
    bar = tqdm(range(first, config.steps), initial=first, total=config.steps, unit="step")
    recent: list[tuple[float, float]] = []
    for step in bar:
        rng = np.random.default_rng([config.seed, 1, step])
        torch.manual_seed(int(rng.integers(2**62)))  # dropout
        batch = _collate(next(batches), wavs, units, speech_model, config, rng)
        with autocast:
            loss, accuracy = model(*batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        schedule.step()
        recent.append((loss.item(), accuracy.item()))
        done = step + 1
        if done % config.log_every == 0 or done == config.steps:
            mean = np.mean(recent, axis=0)
            recent.clear()
            bar.set_postfix(loss=f"{mean[0]:.3f}", accuracy=f"{mean[1]:.3f}")
            _log(work / "curve.csv", done, *mean, time.monotonic() - began)
        if done % config.save_every == 0 or done == config.steps:
            state = {
                "config": yaml.safe_dump(vars(config)),
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "step": done,
                "seconds": time.monotonic() - began,
            }
            torch.save(state, checkpoint.with_suffix(".tmp"))
            os.replace(checkpoint.with_suffix(".tmp"), checkpoint)
    audio_seconds = sum(len(w) for w in wavs) / RATE
    _save(speech_model, out, config, audio_seconds, time.monotonic() - began)


def _save(
    model: SpeechModel, out: Path, config: PretrainConfig, audio_seconds: float, seconds: float
) -> None:
    partial = out.with_name(out.name + ".partial")
    model.encoder.save_pretrained(partial)
    write_preprocessor_config(partial, normalize=True)
    record = {
        "pretrain_config": vars(config),
        "audio_seconds": round(audio_seconds, 1),
        "wall_seconds": round(seconds, 1),
        "threads": torch.get_num_threads(),
    }
    (partial / "pretraining.json").write_text(json.dumps(record, indent=2) + "\n")
    out.mkdir(exist_ok=True)
    for path in sorted(partial.iterdir()):
        os.replace(path, out / path.name)
    partial.rmdir()


def _lr_scale(step: int, config: PretrainConfig) -> float:
    if step < config.warmup:
        return (step + 1) / config.warmup
    return max(0.0, (config.steps - step) / max(1, config.steps - config.warmup))


def _log(path: Path, *row: float) -> None:
    new = not path.exists()
    with path.open("a", newline="") as f:
        writer = csv.writer(f)
        if new:
            writer.writerow(["step", "loss", "masked_accuracy", "seconds"])
        writer.writerow([row[0], *(f"{value:.4f}" for value in row[1:])])


def _read_all(data_dirs: Sequence[Path], min_samples: int) -> list[np.ndarray]:
    wavs = []
    for data_dir in data_dirs:
        entries = read_data_dir(data_dir).wav
        for utt_id, entry in tqdm(entries.items(), desc=f"reading {data_dir}", unit="utt"):
            wav = read_audio(entry)
            if len(wav) < min_samples:
                raise DataDirError(
                    f"{data_dir}: {utt_id} has {len(wav)} samples; one frame needs {min_samples}"
                )
            wavs.append(wav)
    return wavs


def mfcc(wav: np.ndarray, hop: int, field_samples: int) -> np.ndarray:
    """(frames, 39): 13 MFCCs with first and second differences, normalised over the utterance.

    Frames are those of the convolution stack: ``field_samples`` long, ``hop`` apart, no padding.
    """
    static = librosa.feature.mfcc(
        y=wav, sr=RATE, n_mfcc=13, n_fft=field_samples, hop_length=hop, n_mels=40, center=False
    ).T
    first = np.gradient(static, axis=0) if len(static) > 1 else np.zeros_like(static)
    second = np.gradient(first, axis=0) if len(static) > 1 else np.zeros_like(static)
    features = np.hstack([static, first, second])
    return (features - features.mean(0)) / (features.std(0) + 1e-5)


def _units(
    config: PretrainConfig, wavs: list[np.ndarray], model: SpeechModel, cache: Path
) -> list[np.ndarray]:
    lengths = [model.num_frames(len(w)) for w in wavs]
    ends = np.cumsum(lengths)
    if cache.is_file():
        stored = np.load(cache)
        if stored["ends"].tolist() == ends.tolist() and str(stored["key"]) == str(config.units):
            return np.split(stored["units"].astype(np.int64), ends[:-1])
    features = np.concatenate(list(_unit_features(config, wavs, model)))
    rng = np.random.default_rng([config.seed, 0])
    sample = features[rng.permutation(len(features))[:KMEANS_FRAMES]]
    kmeans = MiniBatchKMeans(config.clusters, batch_size=10_000, n_init=3, random_state=config.seed)
    units = kmeans.fit(sample).predict(features)
    with cache.with_suffix(".tmp").open("wb") as f:
        np.savez(f, units=units.astype(np.int16), ends=ends, key=str(config.units))
    os.replace(cache.with_suffix(".tmp"), cache)
    return np.split(units.astype(np.int64), ends[:-1])


def _unit_features(
    config: PretrainConfig, wavs: list[np.ndarray], model: SpeechModel
) -> Iterator[np.ndarray]:
    if config.units["from"] == "mfcc":
        for wav in tqdm(wavs, desc="MFCC", unit="utt"):
            yield mfcc(wav, model.hop, model.min_samples).astype(np.float32)
        return
    layer = int(config.units["layer"])
    earlier = load_teacher(config.units["from"], [layer])
    with torch.inference_mode():
        for wav in tqdm(wavs, desc="features", unit="utt"):
            hidden = earlier(torch.from_numpy(wav)[None], torch.tensor([len(wav)]))
            yield hidden.states[layer][0].numpy()


def _batches(lengths: list[int], config: PretrainConfig, skip: int) -> Iterator[list[int]]:
    """Batches of utterances of like length, shuffled anew each epoch; endless."""
    longest = int(config.max_seconds * RATE)
    capped = np.minimum(lengths, longest)
    budget = int(config.batch_seconds * RATE)
    epoch = 0
    while True:
        rng = np.random.default_rng([config.seed, 2, epoch])
        order = np.lexsort((rng.random(len(capped)), capped // (RATE // 4)))
        batches, batch = [], []
        for i in order.tolist():
            if batch and (len(batch) + 1) * max(capped[i], capped[batch[-1]]) > budget:
                batches.append(batch)
                batch = []
            batch.append(i)
        batches.append(batch)
        for k in rng.permutation(len(batches)).tolist():
            if skip:
                skip -= 1
            else:
                yield batches[k]
        epoch += 1


def _collate(
    batch: list[int],
    wavs: list[np.ndarray],
    units: list[np.ndarray],
    model: SpeechModel,
    config: PretrainConfig,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    longest = int(config.max_seconds * RATE)
    crops = []
    for i in batch:
        spare = max(0, len(wavs[i]) - longest) // model.hop  # crops start on a frame
        start = int(rng.integers(spare + 1))
        wav = wavs[i][start * model.hop :][:longest]
        crops.append((wav, units[i][start:][: model.num_frames(len(wav))]))
    lengths = torch.tensor([len(wav) for wav, _ in crops])
    frames = torch.tensor([len(u) for _, u in crops])
    wav = nn.utils.rnn.pad_sequence([torch.from_numpy(w) for w, _ in crops], batch_first=True)
    unit = nn.utils.rnn.pad_sequence(
        [torch.from_numpy(u) for _, u in crops], batch_first=True, padding_value=-1
    )
    spans = independent_spans(rng, unit.shape, config.mask_prob, config.mask_frames)
    masked = torch.from_numpy(spans) & frame_mask(unit, frames)
    masked[:, 0] |= ~masked.any(1)  # a row without a masked frame would teach nothing
    return wav, lengths, unit, masked
