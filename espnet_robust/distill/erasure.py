"""Linear erasure in closed form: projections that hide a domain from linear classifiers.

Nothing is trained. ``student_erasure.py`` fits one to the hidden states of a finished student,
``probe.py`` to the features that it probes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from espnet_robust.common.errors import ConfigError
from espnet_robust.distill.checks import check_numbers


@dataclass(frozen=True)
class EraseConfig:
    """What the exported student erases from its hidden states.

    Attributes:
        rank: number of directions in each layer; 0: nothing.
        utterances: number of training utterances to which they are fitted.
        distortion: another mixture, which distorts these utterances once more; None: they are
            only distorted as in training. In a YAML of ``conf/distill`` also its file.

    Raises:
        ConfigError: a value is out of range, or there are fewer utterances than directions.
    """

    rank: int = 0
    utterances: int = 500
    distortion: Mapping[str, Any] | None = None

    def __post_init__(self):
        check_numbers(vars(self), ("rank", "utterances"), whole=True)
        if self.rank < 0 or self.utterances < 2:
            raise ConfigError(
                f"rank: {self.rank} must not be negative, utterances: {self.utterances} at least 2"
            )
        if not isinstance(self.distortion, Mapping | None):
            raise ConfigError(f"distortion: write the mixture here, not {self.distortion!r}")
        # Each mixture distorts each utterance at most once.
        if self.rank > self.utterances * (1 if self.distortion is None else 2):
            raise ConfigError(
                f"rank: {self.rank} directions cannot be found in {self.utterances} utterances: "
                "lower rank or raise utterances"
            )


@dataclass(frozen=True)
class AffineEraser:
    """x -> x - (x - mean) read write. mean: (D,); read: (D, r); write: (r, D), write read = 1."""

    mean: np.ndarray
    read: np.ndarray
    write: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, D) features -> (N, D) without the r directions."""
        return x - (x - self.mean) @ self.read @ self.write


def fit_eraser(x: np.ndarray, labels: np.ndarray) -> AffineEraser:
    """The affine map that changes ``x`` least and makes all class means equal.

    LEACE (Belrose et al., arXiv:2306.03819): P = W^+ (W S_xz)(W S_xz)^+ W, where W whitens x
    (theorem 4.2). On the result, no linear classifier does better than a constant; on other classes
    or other data, it may. P has at most as many dimensions as there are classes less one.

    Args:
        x: (N, D) features.
        labels: (N,) classes.
    """
    z = (labels[:, None] == np.unique(labels)).astype(float)
    mean = x.mean(0)
    centred = x.astype(float) - mean
    whiten, unwhiten = _whiteners(centred.T @ centred / len(x))
    directions, sizes, _ = np.linalg.svd(
        whiten @ centred.T @ (z - z.mean(0)) / len(x), full_matrices=False
    )
    directions = directions[:, sizes > 1e-10 * max(sizes[0], 1e-10)]
    return AffineEraser(mean, whiten @ directions, directions.T @ unwhiten)


def fit_nuisance_eraser(
    clean: np.ndarray, distorted: np.ndarray, rank: int, covariance: np.ndarray | None = None
) -> AffineEraser:
    """Erases the directions in which distortion changes utterances most.

    Nuisance attribute projection (Solomonoff et al., ICASSP 2005, "Advances in channel
    compensation for SVM speaker recognition"). ``Most`` is relative to how much clean speech
    varies: the directions are W^+ v of the first ``rank`` eigenvectors v of the mean square of
    W (distorted - clean), where W whitens clean speech. Of all projections that make the same
    changes vanish, it changes clean speech least (as for LEACE). Unlike ``fit_eraser``, it needs no
    classes and also erases a mixture of known distortions in other proportions.

    If the features are means over time, but frames are to be erased, these are two questions: how
    well a direction tells the domain depends on how means vary, and what it costs to erase it on
    how frames do. So with ``covariance``, that of frames, W whitens both together, on one scale;
    and the projection is the one that changes frames least.

    Args:
        clean: (N, D) features of utterances.
        distorted: (N, D), of the same utterances distorted; with several copies of each, repeat
            ``clean``.
        rank: number of directions.
        covariance: (D, D), of clean frames, if these are what is erased; None: of ``clean``.

    Returns:
        The eraser, the strongest direction first: its first n directions are those of rank n.

    Raises:
        ConfigError: ``rank`` is not in 1..D, or more than the directions of the changes; beyond
            these, eigenvectors are rounding noise, which differs between machines.
    """
    size = clean.shape[1]
    if not 1 <= rank <= size:
        raise ConfigError(f"rank: {rank} is not in 1..{size}, the number of values of a feature")
    mean = clean.mean(0)
    centred = clean.astype(float) - mean
    varied = centred.T @ centred / len(clean)
    whiten, unwhiten = _whiteners(varied if covariance is None else covariance)
    varied = whiten @ varied @ whiten
    # The trace is 0 if there is but one utterance.
    inner, outer = _whiteners(varied / (np.trace(varied) or 1) + np.eye(size) / size)
    changes = (distorted.astype(float) - clean) @ whiten @ inner
    values, vectors = np.linalg.eigh(changes.T @ changes / len(changes))
    found = int((values > values[-1] * 1e-10).sum())
    if rank > found:
        raise ConfigError(
            f"rank: {rank}: {len(changes)} distorted utterances change only {found} directions: "
            "lower rank or raise utterances"
        )
    directions, _ = np.linalg.qr(outer @ vectors[:, ::-1][:, :rank])
    return AffineEraser(mean, whiten @ directions, directions.T @ unwhiten)


def _whiteners(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """W, which makes a covariance (D, D) the identity, and its inverse."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > values[-1] * 1e-10
    root, vectors = np.sqrt(values[kept]), vectors[:, kept]
    return vectors / root @ vectors.T, vectors * root @ vectors.T
