"""The options of a pretraining run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from espnet_robust.common.config import nearest
from espnet_robust.common.errors import ConfigError
from espnet_robust.common.ranges import Range

_MAX_CLUSTERS = 2**15  # units are stored in 16 bits

_ABOVE_0 = Range(0, whole=False, above=True)
_NUMBERS = {
    "clusters": Range(2, _MAX_CLUSTERS),
    "steps": Range(1),
    "batch_seconds": _ABOVE_0,
    "max_seconds": _ABOVE_0,
    "lr": _ABOVE_0,
    "warmup": Range(0),
    "weight_decay": Range(0, whole=False),
    "clip": Range(0, math.inf, whole=False, above=True),  # .inf: gradients are not clipped
    "mask_prob": Range(0, 1, whole=False),
    "mask_frames": Range(1),
    "unmasked_weight": Range(0, whole=False),
    "seed": Range(0),
    "log_every": Range(1),
    "save_every": Range(1),
}


@dataclass(frozen=True)
class PretrainConfig:
    """The options of a pretraining run, the keys of its YAML.

    Attributes:
        clusters: number of units, 2 to 32768.
        steps: number of updates. The learning rate rises linearly in the first ``warmup`` of them,
            then falls to 0.
        model: HubertConfig options of a new model.
        init: instead of ``model``: a hub id or directory of a model whose training is continued,
            with a new head.
        units: ``{from: mfcc}``, or ``{from: DIR, layer: N}`` for the features of another model;
            they are always computed from undistorted speech.
        distortion: the distortion that the model hears: a YAML in conf/distortion or the content of
            one; None: undistorted speech. Since the units are those of undistorted speech, the
            model learns to denoise, as WavLM does (arXiv:2110.13900, section III-B).
        batch_seconds: seconds of audio in a batch.
        max_seconds: longer utterances are cropped at random to this many seconds.
        mask_prob, mask_frames: each frame starts a masked span of ``mask_frames`` frames with
            probability ``mask_prob``.
        unmasked_weight: weight of the loss on unmasked frames relative to that on masked ones.
            HuBERT's alpha; above 0, the convolutions learn the units' acoustics within a few steps.
        precision: fp32, or bf16 if the processor supports it (about 1.5 times as fast).
    """

    clusters: int
    steps: int
    model: dict[str, Any] | None = None
    init: str | None = None
    units: dict[str, Any] = field(default_factory=lambda: {"from": "mfcc"})
    distortion: str | Mapping[str, Any] | None = None
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
        for name, allowed in _NUMBERS.items():
            allowed.check(name, getattr(self, name))
        _check_units(self.units)
        if self.model is not None and not isinstance(self.model, Mapping):
            raise ConfigError(f"model: must be a mapping of options, got {self.model!r}")
        if not isinstance(self.distortion, str | Mapping | None):
            raise ConfigError(
                f"distortion: must be a distortion YAML or its content, got {self.distortion!r}"
            )
        if not isinstance(self.init, str | None):
            raise ConfigError(f"init: must be a hub id or a directory, got {self.init!r}")
        if (self.model is None) == (self.init is None):
            raise ConfigError("give either `model`, for a new model, or `init`, one to continue")


def _check_units(units: Any) -> None:
    if not isinstance(units, Mapping):
        raise ConfigError(
            f"units: must be {{from: mfcc}} or {{from: DIR, layer: N}}, got {units!r}"
        )
    for key in units:
        if key not in ("from", "layer"):
            raise ConfigError(f"units: unknown key {key!r}{nearest(key, ('from', 'layer'))}")
    source = units.get("from")
    if not isinstance(source, str) or not source:
        raise ConfigError(f"units: `from` must be mfcc or the directory of a model, got {source!r}")
    if source == "mfcc":
        if "layer" in units:
            raise ConfigError("units: MFCCs have no layers; leave out `layer`")
    elif "layer" not in units:
        raise ConfigError("units: a directory in `from` needs `layer`, or write {from: mfcc}")
    else:
        Range(0).check("units: layer", units["layer"])


@dataclass(frozen=True)
class Record:
    """The content of a teacher's ``pretraining.json``.

    Attributes:
        pretrain_config: the keys of PretrainConfig.
        audio_seconds: duration of all data.
        wall_seconds: time of all steps, with ``threads`` threads on ``device``, cpu or cuda.
    """

    pretrain_config: Mapping[str, Any]
    audio_seconds: float
    wall_seconds: float
    threads: int
    device: str = "cpu"
