"""``preprocessor: distorting``: distort the speech in any ESPnet training, on the fly.

    preprocessor: distorting
    preprocessor_conf:
        distortion: conf/distortion/train.yaml  # or the content of such a file
        valid_distortion: dev.yaml  # default: as for training
        seed: 0          # default: the training's --seed
        inner: default   # the task's own preprocessor, applied next; default: the task's default
        names: [speech]  # the data to distort; [speech, speech2] for trials in speaker tasks
        ...              # all other keys go to the inner preprocessor

Draws are keyed by (seed, utterance id, epoch), as in distillation, so they do not depend on the
number of workers or on resuming. Validation always draws as in epoch 0. Statistics
(``--collect_stats``) and inference use the undistorted audio, with the inner preprocessor alone.
"""

import argparse
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from espnet2.train.preprocessor import AbsPreprocessor

from espnet_robust.common.config import from_mapping
from espnet_robust.common.errors import AudioError, ConfigError
from espnet_robust.data.turns import side_of
from espnet_robust.distortion import Distorter, load_distortion

NAME = "distorting"
Preprocess = Callable[[str, dict[str, Any]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class DistortingConfig:
    """Our keys in ``preprocessor_conf``; see the module's docstring."""

    distortion: str | Mapping
    valid_distortion: str | Mapping | None = None
    seed: int | None = None
    inner: str | None = None
    names: list[str] = field(default_factory=lambda: ["speech"])

    def __post_init__(self):
        for name in ("distortion", "valid_distortion"):
            value = getattr(self, name)
            if not isinstance(value, str | Mapping | None) or value == "":
                raise ConfigError(f"{name}: must name a YAML file, got {value!r}")
        if self.seed is not None and (not isinstance(self.seed, int) or self.seed < 0):
            raise ConfigError(f"seed: must be a whole number of at least 0, got {self.seed!r}")
        names = self.names
        if not (isinstance(names, list) and names and all(isinstance(n, str) for n in names)):
            raise ConfigError(f"names: must be a list of names, got {names!r}")
        if self.inner == NAME:
            raise ConfigError(f"inner: {NAME} cannot be its own inner preprocessor")


OURS = frozenset(f.name for f in dataclasses.fields(DistortingConfig))


def is_distorting(args: argparse.Namespace) -> bool:
    """Whether a task's options ask for the distorting preprocessor."""
    return getattr(args, "preprocessor", None) == NAME


def config_of(args: argparse.Namespace) -> DistortingConfig:
    """Our keys in a task's ``preprocessor_conf``. Raises ConfigError if one is missing or wrong."""
    conf = {key: value for key, value in args.preprocessor_conf.items() if key in OURS}
    return from_mapping(conf, DistortingConfig, "preprocessor_conf")


def without_us(args: argparse.Namespace, default: str | None) -> argparse.Namespace:
    """A task's options as they would be without our preprocessor.

    Args:
        default: the task's own preprocessor; None if the task offers no choice, and therefore has
            no ``preprocessor_conf`` either.

    Raises:
        ConfigError: a key for the inner preprocessor of a task that offers no choice.
    """
    inner = config_of(args).inner
    rest = {key: value for key, value in args.preprocessor_conf.items() if key not in OURS}
    if default is None:
        from_mapping(args.preprocessor_conf, DistortingConfig, "preprocessor_conf")
        if inner not in (None, "default"):
            raise ConfigError(
                f"preprocessor_conf: inner: {inner!r}: this task has only one preprocessor; "
                "leave `inner` out"
            )
    changed = {"preprocessor": inner or default or "default", "preprocessor_conf": rest}
    return argparse.Namespace(**{**vars(args), **changed})


class DistortingPreprocessor(AbsPreprocessor):
    """Distorts an utterance, then passes it to the task's own preprocessor.

    Args:
        inner: the task's own preprocessor, or None.
        distorter: the chain of distortions.
        seed: seed of the draws.
        names: keys of the data to distort; each is drawn independently.
        train: whether the draws change from epoch to epoch.
    """

    def __init__(
        self,
        inner: Preprocess | None,
        distorter: Distorter,
        seed: int,
        names: list[str],
        train: bool,
    ):
        super().__init__(train)
        self.inner = inner
        self.distorter = distorter
        self.seed = seed
        self.names = names
        self.epoch = None if train else 0
        self.progress = 0.0
        self.turn = 0  # of the utterance in this epoch; data/turns.py

    def set_epoch(self, epoch: int, progress: float) -> None:
        """Called before an epoch's workers start. ``progress``: of the training, in [0, 1]."""
        if self.train:
            self.epoch, self.progress = epoch, progress

    def __call__(self, uid: str, data: dict[str, Any]) -> dict[str, np.ndarray]:
        """Distort and preprocess one utterance.

        Raises:
            AudioError: not mono, empty, NaN, or no data to distort.
            ConfigError: ``set_epoch`` was not called.
        """
        if self.epoch is None:
            # Drawing as for one epoch would repeat its distortions in all epochs.
            raise ConfigError(
                f"preprocessor: {NAME} was not told the epoch; train with ESPnet2's own trainer "
                "after espnet_robust.register(), or call set_epoch() before each epoch"
            )
        found = [name for name in self.names if name in data]
        if not found:
            raise AudioError(
                f"{uid}: preprocessor_conf: names: no {', '.join(self.names)} in the data, which "
                f"has {', '.join(data)}"
            )
        distorted = {name: self._distort(uid, name, data[name]) for name in found}
        data = {**data, **distorted}
        return data if self.inner is None else self.inner(uid, data)

    def _distort(self, uid: str, name: str, wav: np.ndarray) -> np.ndarray:
        if wav.ndim != 1:
            raise AudioError(f"{uid}: {name} has {wav.shape[-1]} channels; make it mono")
        if wav.dtype.kind == "i":  # Kaldi's ark files
            wav = wav / -float(np.iinfo(wav.dtype).min)
        side = "student" if name == "speech" else f"student {name}"
        side = side_of(side, self.turn)
        try:
            out, _ = self.distorter(
                wav.astype(np.float32),
                uid,
                seed=self.seed,
                epoch=self.epoch,
                side=side,
                progress=self.progress,
            )
        except AudioError as e:
            raise AudioError(f"{uid}: {e}") from e
        return out


def make_preprocessor(
    args: argparse.Namespace, inner: Preprocess | None, train: bool
) -> DistortingPreprocessor:
    """Build the preprocessor. Raises ConfigError as ``load_distortion`` does."""
    config = config_of(args)
    chain = config.distortion if train else config.valid_distortion or config.distortion
    seed = args.seed if config.seed is None else config.seed
    distorter = load_distortion(chain)
    distorter.check_on_the_fly()
    return DistortingPreprocessor(inner, distorter, seed, config.names, train)
