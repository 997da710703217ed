"""Classify batches of utterances with an ESPnet classification model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from espnet2.tasks.cls import CLSTask
from torch import nn

from espnet_robust.data.classes import SEPARATOR, Classes
from espnet_robust.plugin.checked_audio import rate_of
from espnet_robust.recognise.decode import load_model, padded


@dataclass(frozen=True)
class Classifier:
    """A trained classification model and the names of its classes; ``rate`` is in Hz."""

    model: nn.Module
    classes: Classes
    checkpoint: str
    rate: int

    def __call__(self, wavs: Sequence[np.ndarray]) -> list[str]:
        """Utterances (samples,) float32 -> their labels, the best class of each slot."""
        with torch.inference_mode():
            encoded, frames = self.model.encode(*padded(wavs, self.model))
            logits = self.model.decoder(encoded, frames)  # (B, classes of all slots)
        best = []
        for slot, scores in zip(
            self.classes.slots, logits.split([len(s) for s in self.classes.slots], 1), strict=True
        ):
            best.append([slot[i] for i in scores.argmax(1).tolist()])
        return [SEPARATOR.join(label) for label in zip(*best, strict=True)]


def load_classifier(exp: Path, checkpoint: str, device: str = "cpu") -> Classifier:
    """The classification model of an ESPnet experiment directory.

    Raises:
        ModelError: no such experiment or checkpoint.
        ConfigError: there is no GPU for ``cuda``.
    """
    model, args = load_model(CLSTask, "cls", exp, checkpoint, device)
    multi_label = model.classification_type == "multi-label"
    classes = Classes.from_tokens(args.token_list[:-1], multi_label)  # the last is <unk>
    return Classifier(model.eval(), classes, checkpoint, rate_of(args))
