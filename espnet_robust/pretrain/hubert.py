"""Pretrain a small HuBERT: masked prediction of k-means units (arXiv:2106.07447).

The units are k-means clusters of MFCCs or, in a second round, of a layer of an earlier model. The
model may hear distorted speech while the units are those of the undistorted speech (WavLM's
denoising, arXiv:2110.13900), and may start from the weights of another model.
All randomness is keyed by the seed and the step, or by the seed, the utterance and the epoch, so
that a resumed run equals an uninterrupted one.
"""

import csv
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from tqdm import tqdm
from transformers import HubertConfig, HubertModel

from espnet_robust.common.config import nearest, read_config
from espnet_robust.common.errors import ConfigError, TrainingError
from espnet_robust.common.files import sync, sync_tree, write_atomic
from espnet_robust.data.audio import RATE
from espnet_robust.models.speech_model import (
    SpeechModel,
    build_speech_model,
    load_teacher,
    write_preprocessor_config,
)
from espnet_robust.pretrain.batches import Batches, Speech, read_speech
from espnet_robust.pretrain.config import PretrainConfig, Record
from espnet_robust.pretrain.units import UnitsConfig, find_units

RECORD = "pretraining.json"
CURVE = "curve.csv"


class MaskedPrediction(nn.Module):
    """HuBERT with a linear head that predicts the units."""

    def __init__(self, config: PretrainConfig):
        super().__init__()
        # The encoder's own masking is off; masked spans are passed explicitly.
        if config.init is None:
            encoder = HubertModel(HubertConfig(**(config.model or {})))
            self.speech_model = build_speech_model(encoder, normalize=True)
        else:
            self.speech_model = load_teacher(config.init).requires_grad_(True)
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
            if heard.any():  # else their mean is not a number
                other = nn.functional.cross_entropy(logits[heard], units[heard])
                loss = loss + self.unmasked_weight * other
        accuracy = (logits[masked].argmax(-1) == units[masked]).float().mean()
        return loss, accuracy


def pretrain(config_path: Path, data_dirs: Sequence[Path], out: Path, device: str = "cpu") -> None:
    """Pretrain on the audio of the data dirs; write a transformers directory ``out``.

    Resumes from ``out``.work, which is kept beside it.

    Args:
        config_path: a YAML with the keys of ``PretrainConfig``.
        device: ``cpu`` or ``cuda``.

    Raises:
        ConfigError: the YAML is wrong, there is no GPU, or ``out``.work has another YAML.
        DataDirError, AudioError: a data dir or its audio cannot be used.
        ModelError: the model named by ``init`` or ``units`` cannot be loaded.
        TrainingError: the loss is not finite.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda: torch finds no GPU here; use cpu (in a recipe: --ngpu 0)")
    config = read_config(config_path, PretrainConfig)
    if config.model is not None:
        _check_model(config.model, config_path)
    work = out.with_name(out.name + ".work")
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    model = MaskedPrediction(config).to(device)
    speech_model = model.speech_model
    if speech_model.rate != RATE:
        raise ConfigError(
            f"{config_path}: init: {config.init} takes {speech_model.rate} Hz; need {RATE} Hz"
        )
    if config.max_seconds * RATE < speech_model.min_samples:
        shortest = speech_model.min_samples / RATE
        raise ConfigError(f"{config_path}: max_seconds: must be a frame, {shortest} s, or more")
    speech = read_speech(data_dirs, speech_model.min_samples)
    clustering = UnitsConfig(config.units, config.clusters, config.seed)
    units = find_units(clustering, speech.wavs, speech_model, work / "units.npz", device)
    run = _Run(config, config_path, model, work)
    _train(run, speech, units)
    heard = round(sum(len(w) for w in speech.wavs) / RATE, 1)
    record = Record(vars(config), heard, round(run.seconds, 1), torch.get_num_threads(), device)
    _save(speech_model, out, record)


def _check_model(model: Mapping[str, Any], path: Path) -> None:
    """Raise ConfigError if HubertConfig, which takes any option, has none of this name, or a value
    makes no model.
    """
    known = HubertConfig().to_dict()
    for key in model:
        if key not in known:
            raise ConfigError(f"{path}: model: HubertConfig has no {key!r}{nearest(key, known)}")
    try:
        with torch.device("meta"):  # no memory
            layers = HubertModel(HubertConfig(**model)).config.num_hidden_layers
    except Exception as e:  # of transformers' checks of values, of torch's modules, of lookups
        why = " ".join(f"{type(e).__name__}: {e}".split())
        raise ConfigError(f"{path}: model: transformers cannot build it: {why}") from None
    if layers < 1:
        raise ConfigError(f"{path}: model: num_hidden_layers: must be 1 or more, got {layers}")


class _Run:
    """Model, optimizer and schedule of a run, and its checkpoint in ``work``.

    Attributes:
        step: number of updates done.
        seconds: time spent on them, in all processes that took part.
    """

    def __init__(self, config: PretrainConfig, path: Path, model: MaskedPrediction, work: Path):
        self.config, self.model, self.work = config, model, work
        self.device = next(model.parameters()).device
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
        _cut(work / CURVE, self.step)
        self._began = time.monotonic() - earlier

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def _load(self, path: Path) -> float:
        state = torch.load(self.checkpoint, weights_only=True, map_location=self.device)
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
        """One step on a batch: loss and accuracy.

        Raises:
            TrainingError: the loss or its gradient is not finite; the weights are as before.
        """
        bf16 = self.config.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            loss, accuracy = self.model(*(part.to(self.device) for part in batch))
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        if not (loss.isfinite() and norm.isfinite()):
            raise TrainingError(
                f"step {self.step + 1}: loss {loss.item()}, gradient norm {norm.item()}; delete "
                f"{self.work} and begin again with a lower lr"
            )
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        return loss.item(), accuracy.item()


def _train(run: _Run, speech: Speech, units: list[np.ndarray]) -> None:
    """Run the remaining steps; log the learning curve and save a checkpoint now and then."""
    config = run.config
    run.model.train()
    batches = Batches(config, speech, units, run.model.speech_model.frames)
    plan = batches.plan(run.step)
    bar = tqdm(range(run.step, config.steps), initial=run.step, total=config.steps, unit="step")
    recent: list[tuple[float, float]] = []
    for step in bar:
        rng = np.random.default_rng([config.seed, 1, step])
        torch.manual_seed(int(rng.integers(2**62)))  # dropout
        recent.append(run.update(batches.collate(*next(plan), step / config.steps, rng)))
        if run.step % config.log_every == 0 or run.step == config.steps:
            mean = np.mean(recent, axis=0)
            recent.clear()
            bar.set_postfix(loss=f"{mean[0]:.3f}", accuracy=f"{mean[1]:.3f}")
            _log(run.work / CURVE, run.step, *mean, run.seconds)
        if run.step % config.save_every == 0 or run.step == config.steps:
            run.save()


def _save(model: SpeechModel, out: Path, record: Record) -> None:
    partial = out.with_name(out.name + ".partial")
    model.encoder.save_pretrained(partial)
    write_preprocessor_config(partial, normalize=model.normalize)
    (partial / RECORD).write_text(json.dumps(vars(record), indent=2) + "\n")
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


def _cut(path: Path, step: int) -> None:
    """Drop the rows after ``step``, whose steps were not saved and are done again."""
    if path.exists():
        head, *rows = path.read_bytes().splitlines(keepends=True) or [b""]
        whole = [row for row in rows if row.endswith(b"\n")]  # one may have been cut off
        write_atomic(path, head + b"".join(r for r in whole if int(r.split(b",")[0]) <= step))
