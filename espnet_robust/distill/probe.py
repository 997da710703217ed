"""How well a linear reader tells clean from distorted speech by what a student computes.

What a classifier in an adversarial game says is no evidence: a student may dodge this one and still
show the domain to the next. So a classifier is fitted afresh: logistic regression on features of
utterances, standardised, classes balanced, on four fifths of them; it is judged on the last fifth.
"""

import warnings

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

FOLDS = 5


def balanced_accuracy(clean: np.ndarray, distorted: np.ndarray) -> float:
    """Balanced accuracy in [0, 1] of a linear reader; chance is 0.5.

    Args:
        clean: (N, D) features, one row an utterance.
        distorted: (M, D).

    Returns:
        NaN where a class has fewer than FOLDS utterances.
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
        # Whether it is at its optimum to the last digit decides no utterance.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = cross_val_predict(reader, features, labels, cv=folds)
    return float(balanced_accuracy_score(labels, found))


class DomainProbe:
    """Means over time of a student's states, kept until the reader is fitted."""

    def __init__(self):
        self._rows: dict[bool, list[np.ndarray]] = {False: [], True: []}

    def add(self, pooled: Tensor, distorted: bool) -> None:
        """Keep (B, D) means of utterances that are all distorted, or all clean."""
        self._rows[distorted].extend(pooled.detach().float().cpu().numpy())

    def fit(self) -> float:
        """``balanced_accuracy`` of all that was kept, by all processes; then forget it."""
        rows, self._rows = self._rows, {False: [], True: []}
        shares = [rows]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            shares = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(shares, rows)
        sides = [[row for share in shares for row in share[label]] for label in (False, True)]
        if not all(sides):
            return float("nan")
        # In an order of their own, whichever process held them: folds go by it.
        return balanced_accuracy(*(np.stack(sorted(side, key=tuple)) for side in sides))
