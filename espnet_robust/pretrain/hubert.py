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

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from tqdm import tqdm
from transformers import HubertConfig, HubertModel

from espnet_robust.common.config import read_config
from espnet_robust.common.errors import ConfigError, DataDirError
from espnet_robust.common.files import sync, sync_tree
from espnet_robust.data.audio import RATE, read_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.models.padding import frame_mask
from espnet_robust.models.spans import independent_spans
from espnet_robust.models.speech_model import (
    SpeechModel,
    build_speech_model,
    write_preprocessor_config,
)
from espnet_robust.pretrain.units import UnitsConfig, find_units


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
    clustering = UnitsConfig(config.units, config.clusters, config.seed)
    units = find_units(clustering, wavs, speech_model, work / "units.npz")
    run = _Run(config, config_path, model, work)
    _train(run, wavs, units)
    audio_seconds = sum(len(w) for w in wavs) / RATE
    _save(speech_model, out, config, audio_seconds, run.seconds)


class _Run:
    """Model, optimizer and schedule of a run, and its checkpoint in ``work``.

    Attributes:
        step: updates done.
        seconds: spent on them, by all processes that took part.
    """

    def __init__(self, config: PretrainConfig, path: Path, model: MaskedPrediction, work: Path):
        self.config, self.model, self.work = config, model, work
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.lr, betas=(0.9, 0.98), weight_decay=config.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda n: _lr_scale(n, config)
        )
        self.step, earlier = 0, 0.0
        self.checkpoint = work / "checkpoint.pth"
        if self.checkpoint.is_file():
            earlier = self._load(path)
        self._began = time.monotonic() - earlier

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def _load(self, path: Path) -> float:
        state = torch.load(self.checkpoint, weights_only=True)
        if state["config"] != yaml.safe_dump(vars(self.config)):
            raise ConfigError(f"{self.checkpoint}: made with another {path}; delete {self.work}")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.step = state["step"]
        logging.info("resuming at step %d", self.step)
        return state["seconds"]

    def save(self) -> None:
        state = {
            "config": yaml.safe_dump(vars(self.config)),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        torch.save(state, self.checkpoint.with_suffix(".tmp"))
        sync([self.checkpoint.with_suffix(".tmp")])
        os.replace(self.checkpoint.with_suffix(".tmp"), self.checkpoint)

    def update(self, batch: tuple[Tensor, ...]) -> tuple[float, float]:
        """One step on a batch: loss and accuracy."""
        bf16 = self.config.precision == "bf16"
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss, accuracy = self.model(*batch)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        return loss.item(), accuracy.item()


def _train(run: _Run, wavs: list[np.ndarray], units: list[np.ndarray]) -> None:
    """All steps that are left, with a line of the curve and a checkpoint now and then."""
    config = run.config
    run.model.train()
    batches = _batches([len(w) for w in wavs], config, run.step)
    bar = tqdm(range(run.step, config.steps), initial=run.step, total=config.steps, unit="step")
    recent: list[tuple[float, float]] = []
    for step in bar:
        rng = np.random.default_rng([config.seed, 1, step])
        torch.manual_seed(int(rng.integers(2**62)))  # dropout
        speech_model = run.model.speech_model
        recent.append(run.update(_collate(next(batches), wavs, units, speech_model, config, rng)))
        if run.step % config.log_every == 0 or run.step == config.steps:
            mean = np.mean(recent, axis=0)
            recent.clear()
            bar.set_postfix(loss=f"{mean[0]:.3f}", accuracy=f"{mean[1]:.3f}")
            _log(run.work / "curve.csv", run.step, *mean, run.seconds)
        if run.step % config.save_every == 0 or run.step == config.steps:
            run.save()


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
    sync_tree(partial)
    for path in sorted(partial.iterdir()):
        os.replace(path, out / path.name)
    sync([out])
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


def _batches(lengths: list[int], config: PretrainConfig, skip: int) -> Iterator[list[int]]:
    """Batches of utterances of like length, shuffled in each epoch; endless."""
    longest = int(config.max_seconds * RATE)
    capped = np.minimum(lengths, longest)
    budget = int(config.batch_seconds * RATE)
    epoch = 0
    while True:
        rng = np.random.default_rng([config.seed, 2, epoch])
        order = np.lexsort((rng.random(len(capped)), capped // (RATE // 4)))
        batches: list[list[int]] = []
        batch: list[int] = []
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
    padded = nn.utils.rnn.pad_sequence([torch.from_numpy(w) for w, _ in crops], batch_first=True)
    unit = nn.utils.rnn.pad_sequence(
        [torch.from_numpy(u) for _, u in crops], batch_first=True, padding_value=-1
    )
    spans = independent_spans(rng, (len(unit), unit.shape[1]), config.mask_prob, config.mask_frames)
    masked = torch.from_numpy(spans) & frame_mask(unit, frames)
    masked[:, 0] |= ~masked.any(1)  # a row without a masked frame would teach nothing
    return padded, lengths, unit, masked
