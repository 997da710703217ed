"""Measure how well a linear classifier tells clean from distorted speech by a student's states.

The classifier of adversarial training is no evidence: the student may evade it and still reveal the
domain to another one. So a new classifier is fitted: logistic regression with balanced classes on
standardised features, fitted to four fifths of the utterances and tested on the last fifth.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.distributed
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from espnet_robust.common.errors import DataDirError
from espnet_robust.data.audio import read_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.distill.erasure import fit_eraser
from espnet_robust.models.speech_model import SpeechModel, load_teacher
from espnet_robust.models.student import load_student

FOLDS = 5


def balanced_accuracy(clean: np.ndarray, distorted: np.ndarray) -> float:
    """Balanced accuracy in [0, 1] of a linear classifier; chance is 0.5.

    Args:
        clean: (N, D) features, one row per utterance.
        distorted: (M, D), likewise.

    Returns:
        The accuracy; NaN if a class has fewer than FOLDS utterances.
    """
    if min(len(clean), len(distorted)) < FOLDS:
        return float("nan")
    features = np.concatenate([clean, distorted])
    labels = np.repeat([0, 1], [len(clean), len(distorted)])
    reader = make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=300, class_weight="balanced")
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        # Convergence to the last digit would not change any decision.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = cross_val_predict(reader, features, labels, cv=folds)
    return float(balanced_accuracy_score(labels, found))


class DomainProbe:
    """Collects a student's states, averaged over time, until the classifier is fitted."""

    def __init__(self):
        self._rows: dict[bool, list[np.ndarray]] = {False: [], True: []}

    def add(self, pooled: Tensor, distorted: bool) -> None:
        """Add (B, D) means of utterances that are all distorted, or all clean."""
        self._rows[distorted].extend(pooled.detach().float().cpu().numpy())

    def fit(self) -> float:
        """``balanced_accuracy`` of everything added, in all processes; then clear it."""
        rows, self._rows = self._rows, {False: [], True: []}
        shares = [rows]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            shares = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(shares, rows)
        sides = [[row for share in shares for row in share[label]] for label in (False, True)]
        if not all(sides):
            return float("nan")
        # Sorted, because folds depend on the order, which must not depend on the processes.
        return balanced_accuracy(*(np.stack(sorted(side, key=tuple)) for side in sides))


def probe_model(
    name: str, clean: Path, distorted: Sequence[Path], erase: bool = False
) -> dict[str, list[float]]:
    """Balanced accuracies on the last layer of a model.

    Args:
        name: student directory, or hub id or directory of a teacher.
        clean: data dir.
        distorted: data dirs with copies of its utterances.
        erase: also after linear erasure, fitted on every other utterance and tested on the rest.

    Returns:
        {``name``: clean against all copies together, then against each; with ``erase`` also, on
        half of the utterances, ``name, half`` and ``name, half erased``}.

    Raises:
        ModelError: no such model.
        DataDirError, AudioError: data cannot be read, or a copy has other utterances.
    """
    model = (
        load_student(Path(name)) if (Path(name) / "config.yaml").exists() else load_teacher(name)
    )
    features = [states_of(model, path) for path in (clean, *distorted)]
    for path, rows in zip(distorted, features[1:], strict=True):
        if rows.keys() != features[0].keys():
            raise DataDirError(f"{path}: not a copy of {clean}: its utterances differ")
    arrays = [np.stack(list(rows.values())) for rows in features]
    found = {name: _against_the_first(arrays)}
    if erase:
        fitted, judged = ([array[start::2] for array in arrays] for start in (0, 1))
        sides = np.concatenate([[0] * len(fitted[0]), [1] * sum(map(len, fitted[1:]))])
        eraser = fit_eraser(np.concatenate(fitted), sides)
        found[f"{name}, half"] = _against_the_first(judged)
        found[f"{name}, half erased"] = _against_the_first([eraser(array) for array in judged])
    return found


def _against_the_first(arrays: Sequence[np.ndarray]) -> list[float]:
    clean, *distorted = arrays
    return [balanced_accuracy(clean, d) for d in (np.concatenate(distorted), *distorted)]


@torch.inference_mode()
def states_of(model: SpeechModel, data: Path) -> dict[str, np.ndarray]:
    """{utterance id: (D,)} means over time of the last layer, sorted by utterance id."""
    means = {}
    for utt, entry in sorted(read_data_dir(data).wav.items()):
        wav = torch.from_numpy(read_audio(entry, rate=model.rate))[None]
        hidden = model(wav.float(), torch.tensor([wav.shape[1]]))
        means[utt] = hidden.states[model.num_layers][0].mean(0).numpy()
    return means
