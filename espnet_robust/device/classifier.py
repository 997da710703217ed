"""Load a classifier trained with ESPnet's classification task, without ESPnet."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import ModelError
from espnet_robust.data.classes import Classes
from espnet_robust.device.experiment import check_modules, frames_options, load_checkpoint
from espnet_robust.device.features import EncodedFrames
from espnet_robust.models.padding import frame_mask

NOT_AT_INFERENCE = ("frontend.steps",)
POOLINGS = ("mean", "max", "CLS")


class PoolingHead(nn.Module):
    """``decoder: linear``: one vector from all frames, then a linear layer, with ESPnet's name.

    Args:
        pooling: ``mean`` or ``max`` over time, or ``CLS``, the first frame.
    """

    def __init__(self, size: int, classes: int, pooling: str):
        super().__init__()
        self.linear_out = nn.Linear(size, classes)
        self.pooling = pooling

    def forward(self, x: Tensor, frames: Tensor) -> Tensor:
        """(B, T, D) and (B,) frames -> logits (B, C)."""
        padding = ~frame_mask(x, frames)[..., None]
        if self.pooling == "mean":
            pooled = x.masked_fill(padding, 0.0).sum(1) / frames[:, None]
        elif self.pooling == "max":
            pooled = x.masked_fill(padding, float("-inf")).amax(1)
        else:
            pooled = x[:, 0]
        return self.linear_out(pooled)


class Classifier(EncodedFrames):
    """Samples to log probabilities of classes.

    Args:
        classes: number of classes, of all slots together.
        pooling: one of ``POOLINGS``.
        multi_label: whether each class has a probability of its own (ESPnet's ``multi-label``); if
            not, they sum to 1.
        options: as for ``EncodedFrames``.
    """

    def __init__(self, classes: int, pooling: str, multi_label: bool, **options: Any):
        super().__init__(**options)
        self.decoder = PoolingHead(self.encoder.size, classes, pooling)
        self.multi_label = multi_label

    def forward(self, wav: Tensor, lengths: Tensor) -> Tensor:
        """(B, N) samples in [-1, 1] and lengths (B,) -> log probabilities (B, C)."""
        x, frames = self.encode(wav, lengths)
        assert frames is not None
        logits = self.decoder(x, frames)
        return -F.softplus(-logits) if self.multi_label else logits.log_softmax(-1)


@dataclass(frozen=True)
class ClassifierExperiment:
    """A classifier and its classes, slot after slot."""

    model: Classifier
    classes: Classes


def read_classifier(exp: Path, checkpoint: str) -> ClassifierExperiment:
    """The classifier of an ESPnet experiment directory, in eval mode.

    Raises:
        ModelError: unsupported modules, no token list, or weights that do not fit.
        ConfigError: the configuration cannot be read.
    """
    config = read_yaml(exp / "config.yaml")
    check_modules(config, exp, {"encoder": ("blstm", "transformer"), "decoder": ("linear",)})
    kind = (config.get("model_conf") or {}).get("classification_type", "multi-class")
    classes = _classes(config, exp, kind == "multi-label")
    pooling = (config.get("decoder_conf") or {}).get("pooling", "mean")
    if pooling not in POOLINGS:
        raise ModelError(f"{exp}: cannot be exported: decoder_conf: pooling: {pooling}")
    model = Classifier(
        len(classes.tokens), pooling, kind == "multi-label", **frames_options(config, exp)
    )
    load_checkpoint(model, exp / checkpoint, NOT_AT_INFERENCE)
    return ClassifierExperiment(model, classes)


def _classes(config: Mapping[str, Any], exp: Path, multi_label: bool) -> Classes:
    tokens = config.get("token_list")
    if not isinstance(tokens, list) or len(tokens) < 2:
        raise ModelError(
            f"{exp}/config.yaml: no token_list, so the classes have no names; has training begun?"
        )
    *named, _unk = tokens
    classes = Classes.from_tokens(named, multi_label)
    if classes.tokens != named:
        raise ModelError(
            f"{exp}: cannot be exported: multi-label, but its classes are not named by slot, as "
            "0:off, 0:on, 1:lamp are"
        )
    return classes
