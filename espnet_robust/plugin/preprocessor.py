"""``preprocessor: distorting``: an ESPnet training that hears our distortions, on the fly.

    preprocessor: distorting
    preprocessor_conf:
        distortion: conf/distortion/train.yaml  # or what stands in such a file
        valid_distortion: dev.yaml  # default: as for training
        seed: 0          # default: the training's --seed
        inner: default   # the task's own preprocessor, behind the distortion; default: its default
        names: [speech]  # what is distorted; [speech, speech2] for the trials of speaker tasks
        ...              # all other keys are the inner preprocessor's

Draws are keyed by (seed, utterance id, epoch) as in distillation: the same with any number of
workers and after resuming. Validation draws once, as epoch 0. Statistics (``--collect_stats``) and
inference see the audio as it is: the inner preprocessor is all there is of it then.
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
from espnet_robust.distortion import Distorter, load_distortion

NAME = "distorting"
Preprocess = Callable[[str, dict[str, Any]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class DistortingConfig:
    """The keys of ``preprocessor_conf`` that are ours; see the module."""

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
            raise ConfigError(f"inner: {NAME} cannot stand behind itself")


OURS = frozenset(f.name for f in dataclasses.fields(DistortingConfig))


def is_distorting(args: argparse.Namespace) -> bool:
    """Whether a task's options ask for it."""
    return getattr(args, "preprocessor", None) == NAME


def config_of(args: argparse.Namespace) -> DistortingConfig:
    """Our keys of a task's ``preprocessor_conf``. Raises ConfigError: missing or wrong ones."""
    conf = {key: value for key, value in args.preprocessor_conf.items() if key in OURS}
    return from_mapping(conf, DistortingConfig, "preprocessor_conf")


def without_us(args: argparse.Namespace, default: str | None) -> argparse.Namespace:
    """A task's options as they would be without our preprocessor.

    Args:
        default: the task's own preprocessor; None where a task gives no choice of one, and then
            no ``preprocessor_conf`` either.

    Raises:
        ConfigError: a key for the inner preprocessor where that takes none.
    """
    inner = config_of(args).inner
    rest = {key: value for key, value in args.preprocessor_conf.items() if key not in OURS}
    if default is None:
        from_mapping(args.preprocessor_conf, DistortingConfig, "preprocessor_conf")
        if inner not in (None, "default"):
            raise ConfigError(
                f"preprocessor_conf: inner: {inner!r}: this task has one preprocessor only; "
                "leave `inner` out"
            )
    changed = {"preprocessor": inner or default or "default", "preprocessor_conf": rest}
    return argparse.Namespace(**{**vars(args), **changed})


class DistortingPreprocessor(AbsPreprocessor):
    """Distorts an utterance, then hands it to the task's own preprocessor.

    Args:
        inner: that one; None where the task has none.
        distorter: the chain.
        seed: of the draws.
        names: keys of the data that are distorted; each draws on its own.
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

    def set_epoch(self, epoch: int, progress: float) -> None:
        """Called before an epoch's workers start. ``progress``: share of training done, [0, 1]."""
        if self.train:
            self.epoch, self.progress = epoch, progress

    def __call__(self, uid: str, data: dict[str, Any]) -> dict[str, np.ndarray]:
        """Raises AudioError: not mono, empty, NaN, or nothing to distort. ConfigError: nobody told
        the epoch."""
        if self.epoch is None:
            # Drawing as if for one epoch would repeat the same distortion through all of them.
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
    """Read the distortions. Raises ConfigError, see ``load_distortion``."""
    config = config_of(args)
    chain = config.distortion if train else config.valid_distortion or config.distortion
    seed = args.seed if config.seed is None else config.seed
    return DistortingPreprocessor(inner, load_distortion(chain), seed, config.names, train)
