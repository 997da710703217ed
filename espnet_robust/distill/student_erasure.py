"""Fit a student's eraser to training utterances, each clean and distorted.

After a distillation with ``erase: {rank: N}``, ``export_student`` fits it to the exported student;
after each epoch, the trainer fits it for the probe. The views are those of the last epoch's student
side, drawn from the seed and the utterance id, so that the same student gets the same bytes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espnet_robust.common.config import from_mapping
from espnet_robust.common.errors import ConfigError
from espnet_robust.data.audio import read_audio
from espnet_robust.data.data_dir import iter_table
from espnet_robust.distill.domains import AdversaryConfig, domain_labels
from espnet_robust.distill.erasure import EraseConfig, fit_nuisance_eraser
from espnet_robust.distill.schedule import Schedule
from espnet_robust.distill.views import CLEAN, Views
from espnet_robust.distortion import Distorter, load_distortion
from espnet_robust.models.eraser import Eraser
from espnet_robust.models.frames import Frames
from espnet_robust.models.speech_model import SpeechModel


@dataclass(frozen=True)
class Pairs:
    """Clean and distorted views of utterances, (1 + distorted views, N) float32 each.

    Attributes:
        sources: ``train_data_path_and_name_and_type``: ``wav.scp``, its name and type.
        utterances: how many of it, spread evenly.
        views: of each mixture: what the student hears, with the clean crop beside it.
    """

    sources: Sequence[Sequence[str]]
    utterances: int
    views: Sequence[Views]

    def __iter__(self) -> Iterator[np.ndarray]:
        wavs = list(iter_table(self.sources[0][0]))
        number = min(self.utterances, len(wavs))
        for utt, entry in (wavs[i * len(wavs) // number] for i in range(number)):
            speech = {"speech": read_audio(entry, rate=self.views[0].frames.rate)}
            heard = [views(utt, speech) for views in self.views]
            # The others were drawn undistorted.
            distorted = [view["student_speech"] for view in heard if view["domain"][0]]
            if distorted:
                yield np.stack([heard[0][CLEAN], *distorted])


def pairs_of(config: Mapping[str, Any], erase: EraseConfig) -> Pairs:
    """The pairs of a distillation.

    Args:
        config: the options of ``distill_train``, or the ``config.yaml`` that it writes.
        erase: how many utterances, spread evenly over the training set, and another mixture.

    Raises:
        UserError: a distortion cannot be read, or there is none.
    """
    if config["mapping"] == "none":
        raise ConfigError("erase: needs distorted speech, but with mapping none there is none")
    mixtures = filter(None, (config["distortion"], erase.distortion))
    views = [_views_of(config, load_distortion(mixture)) for mixture in mixtures]
    return Pairs(config["train_data_path_and_name_and_type"], erase.utterances, views)


def _views_of(config: Mapping[str, Any], distorter: Distorter) -> Views:
    """What the student hears in the last epoch, and the same crop undistorted."""
    frames = Frames.from_description(config["student_arch"])
    views = Views(
        "setup1", distorter, domain_labels(distorter.kinds, AdversaryConfig()), config["seed"],
        int(config["crop_seconds"] * frames.rate), frames, train=True,
        fixed_crops=config["fixed_crops"], extra={CLEAN},
    )  # fmt: skip
    views.start_epoch(Schedule(config["max_epoch"], config["max_epoch"]))
    return views


@dataclass(frozen=True)
class StudentErasure:
    """How a distillation's students get their erasers.

    Attributes:
        rank: directions erased from each layer.
        pairs: see ``Pairs``; read anew by each ``fit``.
    """

    rank: int
    pairs: Iterable[np.ndarray]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "StudentErasure | None":
        """Of a distillation, see ``pairs_of``; None if its ``erase`` asks for nothing."""
        erase = from_mapping(config.get("erase") or {}, EraseConfig, "erase")
        return cls(erase.rank, pairs_of(config, erase)) if erase.rank else None

    def check(self, student: SpeechModel) -> None:
        """Raise ConfigError if the student has too few dimensions."""
        if not 1 <= self.rank < student.hidden_size:
            raise ConfigError(
                f"erase: rank: {self.rank} is not in 1..{student.hidden_size - 1}: the student has "
                f"{student.hidden_size} units"
            )

    def fit(self, student: SpeechModel) -> Eraser:
        """The eraser of a student, which is left as it is.

        In each layer: the directions in which distortion moves the mean over time of an utterance
        most, relative to how means and frames of clean speech vary (``fit_nuisance_eraser``).

        Raises:
            ConfigError: rank is too high, or the distortion left all utterances as they were.
        """
        self.check(student)
        training = student.training
        try:
            sums = _Sums.of(student.eval(), self.pairs)
        finally:
            student.train(training)
        if not sums.means:
            raise ConfigError("erase: the distortion left every utterance undistorted")
        eraser = Eraser(student.num_layers + 1, student.hidden_size, self.rank)
        for layer, (means, covariance) in enumerate(sums.by_layer()):
            fitted = fit_nuisance_eraser(means[:, 0], means[:, 1], self.rank, covariance)
            eraser.read[layer] = torch.from_numpy(fitted.read)
            eraser.offset[layer] = torch.from_numpy(fitted.mean @ fitted.read)
            eraser.write[layer] = torch.from_numpy(fitted.write)
        return eraser.to(next(student.parameters()).device)


class _Sums:
    """What the fit needs, of all layers L; frames are not kept.

    means: (2, L, D) float64 for each distorted view, over time, clean first.
    """

    def __init__(self):
        self.means: list[np.ndarray] = []
        self._count = 0
        self._first: Tensor | float = 0.0  # (L, D): sum of the clean frames
        self._second: Tensor | float = 0.0  # (L, D, D): sum of their squares

    @classmethod
    @torch.no_grad()
    def of(cls, student: SpeechModel, pairs: Iterable[np.ndarray]) -> "_Sums":
        sums, device = cls(), next(student.parameters()).device
        for views in pairs:
            wav = torch.from_numpy(views).to(device)
            hidden = student(wav, torch.tensor([wav.shape[1]] * len(wav), device=device))
            sums.add(torch.stack(list(hidden.states.values()), 1).double())
        return sums

    def add(self, states: Tensor) -> None:
        """Add (1 + distorted views, L, T, D), the frames of an utterance, the clean view first."""
        clean = states[0]
        of_clean, *of_distorted = states.mean(2).cpu().numpy()
        self.means += [np.stack([of_clean, one]) for one in of_distorted]
        self._count += clean.shape[1]
        self._first = self._first + clean.sum(1)
        self._second = self._second + clean.transpose(1, 2) @ clean

    def by_layer(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each layer: (N, 2, D) means and the (D, D) covariance of clean frames."""
        means = np.stack(self.means)
        first, second = self._first.cpu().numpy(), self._second.cpu().numpy()
        for layer, total in enumerate(first):
            mean = total / self._count
            yield means[:, :, layer], second[layer] / self._count - np.outer(mean, mean)
