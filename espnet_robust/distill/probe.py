"""Measure how well a linear classifier tells clean from distorted speech by a student's states.

The classifier of adversarial training is no evidence: the student may evade it and still reveal the
domain to another one. So a new classifier is fitted: logistic regression with balanced classes on
standardised features, fitted to four fifths of the utterances and tested on the last fifth. All
copies of an utterance, clean and distorted, are in the same fifth. Else the classifier would learn
the words of one copy as its class, would meet the same words in the other class, and would seem to
know less than nothing: accuracies below 0.5.

The features are the mean over time, and the standard deviation over time. Methods that work on the
mean may leave the deviation as it is, and a recogniser with ``normalize: utterance_mvn`` subtracts
the mean, so it can only hear the latter.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from espnet_robust.common.errors import DataDirError
from espnet_robust.data.audio import read_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.distill.erasure import AffineEraser, fit_eraser, fit_nuisance_eraser
from espnet_robust.models.speech_model import SpeechModel, load_teacher
from espnet_robust.models.student import load_student

FOLDS = 5


def balanced_accuracy(
    clean: np.ndarray, distorted: np.ndarray, utts: tuple[Sequence, Sequence]
) -> float:
    """Balanced accuracy in [0, 1] of a linear classifier; chance is 0.5.

    Args:
        clean: (N, D) features, one row per utterance.
        distorted: (M, D), likewise; there may be several copies of an utterance.
        utts: the utterances of the N and of the M rows: ids, or numbers. A copy has that of the
            speech of which it is made.

    Returns:
        The accuracy; NaN if a class has fewer than FOLDS utterances.
    """
    if not _are_enough(utts):
        return float("nan")
    features = np.concatenate([clean, distorted])
    labels = np.repeat([0, 1], [len(clean), len(distorted)])
    reader = make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=300, class_weight="balanced")
    )
    folds = PredefinedSplit(_folds(*utts))
    with warnings.catch_warnings():
        # Convergence to the last digit would not change any decision.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = cross_val_predict(reader, features, labels, cv=folds)
    return float(balanced_accuracy_score(labels, found))


def _are_enough(utts: tuple[Sequence, Sequence]) -> bool:
    return min(len(set(side)) for side in utts) >= FOLDS


def _folds(clean: Sequence, distorted: Sequence) -> np.ndarray:
    """(N + M,) the folds of the rows, from their utterances; the order of the rows has no say.

    The utterances are shuffled, because their ids may follow a pattern. Each class's are spread
    over all folds, as many in each as in any other, or one more.
    """
    names, of_row = np.unique([*clean, *distorted], return_inverse=True)
    shuffled = np.random.default_rng(0).permutation(len(names))
    # First those that are only clean, last those that are only distorted: so the utterances of a
    # class are all in a row.
    in_clean, in_distorted = (np.isin(names, side) for side in (clean, distorted))
    kinds = in_distorted.astype(int) - in_clean
    dealt = shuffled[np.argsort(kinds[shuffled], kind="stable")]
    folds = np.empty(len(names), int)
    folds[dealt] = np.arange(len(names)) % FOLDS
    return folds[of_row]


def summarise(frames: Tensor, lengths: Tensor) -> Tensor:
    """(sum of lengths, D) valid frames, (B,) lengths -> (B, 2, D): mean and deviation over time."""
    rows = frames.float().split(lengths.tolist())
    return torch.stack([torch.stack([x.mean(0), x.std(0, correction=0)]) for x in rows])


class DomainProbe:
    """Collects a student's states, summarised over time, until the classifiers are fitted."""

    def __init__(self):
        self._rows: dict[bool, list[tuple[str, np.ndarray]]] = {False: [], True: []}

    def add(self, summaries: Tensor, utts: Sequence[str], distorted: bool) -> None:
        """Add utterances that are all distorted, or all clean.

        Args:
            summaries: (B, 2, D), see ``summarise``.
            utts: their B ids; an utterance has the same clean and distorted.
            distorted: which they are.
        """
        rows = summaries.detach().float().cpu().numpy()
        self._rows[distorted].extend(zip(utts, rows, strict=True))

    def fit(self) -> dict[str, float]:
        """``balanced_accuracy`` of everything added, in all processes; then clear it.

        Returns:
            ``domain_probe``, on means, and ``domain_probe_deviation``; empty if there are too few
            utterances.
        """
        rows, self._rows = self._rows, {False: [], True: []}
        shares = [rows]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            shares = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(shares, rows)
        # Sorted, because roundings depend on the order, which must not depend on the processes.
        sides = [
            sorted((row for share in shares for row in share[label]), key=_utterance_and_mean)
            for label in (False, True)
        ]
        utts = tuple([utt for utt, _ in side] for side in sides)
        if not _are_enough(utts):
            return {}
        clean, distorted = (np.stack([row for _, row in side]) for side in sides)
        names = ("domain_probe", "domain_probe_deviation")
        return {
            name: balanced_accuracy(clean[:, i], distorted[:, i], utts)
            for i, name in enumerate(names)
        }


def _utterance_and_mean(item: tuple[str, np.ndarray]) -> tuple[str, tuple[float, ...]]:
    utt, row = item
    return utt, tuple(row[0])


@dataclass(frozen=True)
class Erasure:
    """Erase what tells these data from each other before the classifier is fitted.

    Attributes:
        clean: data dir, with other utterances than those that are probed.
        distorted: copies of it.
        rank: number of directions to erase, see ``fit_nuisance_eraser``.
    """

    clean: Path
    distorted: Sequence[Path]
    rank: int


def probe_model(
    name: str, clean: Path, distorted: Sequence[Path], erasure: Erasure | None = None
) -> dict[str, list[float]]:
    """Balanced accuracies on the last layer of a model.

    Args:
        name: student directory, or hub id or directory of a teacher.
        clean: data dir.
        distorted: data dirs with copies of its utterances.
        erasure: also with means after linear erasure.

    Returns:
        {``NAME, mean`` and ``NAME, deviation``: clean against all copies together, then against
        each; with ``erasure`` also ``NAME, mean, LEACE`` and ``NAME, mean, RANK erased``}.

    Raises:
        ModelError: no such model.
        ConfigError: no such rank.
        DataDirError, AudioError: data cannot be read, or a copy has other utterances.
    """
    model = (
        load_student(Path(name)) if (Path(name) / "config.yaml").exists() else load_teacher(name)
    )
    means, deviations = np.moveaxis(_features(model, clean, distorted), 2, 0)
    found = {f"{name}, mean": _against_the_first(means)}
    found[f"{name}, deviation"] = _against_the_first(deviations)
    if erasure:
        fitted = _features(model, erasure.clean, erasure.distorted)[:, :, 0]
        for method, erase in _erasers(fitted, erasure.rank).items():
            found[f"{name}, mean, {method}"] = _against_the_first([erase(x) for x in means])
    return found


def _erasers(means: np.ndarray, rank: int) -> dict[str, AffineEraser]:
    """The erasers fitted to (sides, N, D) means of the same utterances, the clean ones first."""
    copies = len(means) - 1
    flat = means.reshape(-1, means.shape[-1])
    sides = np.repeat([0, 1], [len(means[0]), copies * len(means[0])])
    nuisance = fit_nuisance_eraser(np.tile(means[0], (copies, 1)), flat[len(means[0]) :], rank)
    return {"LEACE": fit_eraser(flat, sides), f"{rank} erased": nuisance}


def _against_the_first(arrays: Sequence[np.ndarray]) -> list[float]:
    """Of (N, D) features of the same utterances, of all copies together and of each."""
    clean, *distorted = arrays
    utts = np.arange(len(clean))
    together = np.concatenate(distorted), np.tile(utts, len(distorted))
    pairs = [together, *((copy, utts) for copy in distorted)]
    return [balanced_accuracy(clean, copy, (utts, of_copy)) for copy, of_copy in pairs]


def _features(model: SpeechModel, clean: Path, distorted: Sequence[Path]) -> np.ndarray:
    """(1 + copies, N, 2, D) ``summarise`` of the utterances of ``clean`` and its copies."""
    features = [states_of(model, path) for path in (clean, *distorted)]
    for path, rows in zip(distorted, features[1:], strict=True):
        if rows.keys() != features[0].keys():
            raise DataDirError(f"{path}: not a copy of {clean}: its utterances differ")
    return np.stack([np.stack(list(rows.values())) for rows in features])


@torch.inference_mode()
def states_of(model: SpeechModel, data: Path) -> dict[str, np.ndarray]:
    """{utterance id: (2, D)} ``summarise`` of the last layer, sorted by utterance id."""
    summaries = {}
    for utt, entry in sorted(read_data_dir(data).wav.items()):
        wav = torch.from_numpy(read_audio(entry, rate=model.rate))[None]
        hidden = model(wav.float(), torch.tensor([wav.shape[1]]))
        last = hidden.states[model.num_layers][0]
        summaries[utt] = summarise(last, hidden.lengths)[0].numpy()
    return summaries
