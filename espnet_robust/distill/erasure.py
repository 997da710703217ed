"""Linear erasure in closed form: what hiding a domain from linear classifiers costs and gains.

A reference for adversaries: it is fitted to features of a finished student, and trains nothing.
"""

from dataclasses import dataclass

import numpy as np

from espnet_robust.common.errors import ConfigError


@dataclass(frozen=True)
class Eraser:
    """x -> x - P (x - mean). mean: (D,); P: (D, D), a projection."""

    mean: np.ndarray
    projection: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, D) features -> (N, D) without what P projects on."""
        return x - (x - self.mean) @ self.projection.T


def fit_eraser(x: np.ndarray, labels: np.ndarray) -> Eraser:
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
    whiten, unwhiten = _whiteners(centred)
    directions, sizes, _ = np.linalg.svd(
        whiten @ centred.T @ (z - z.mean(0)) / len(x), full_matrices=False
    )
    directions = directions[:, sizes > 1e-10 * max(sizes[0], 1e-10)]
    return Eraser(mean, unwhiten @ directions @ directions.T @ whiten)


def fit_nuisance_eraser(clean: np.ndarray, distorted: np.ndarray, rank: int) -> Eraser:
    """Erases the directions in which distortion changes utterances most.

    Nuisance attribute projection (Solomonoff et al., ICASSP 2005, "Advances in channel
    compensation for SVM speaker recognition"). ``Most`` is relative to how much clean speech
    varies: the directions are the first ``rank`` eigenvectors of the mean square of
    W (distorted - clean), where W whitens clean speech. Unlike ``fit_eraser``, it needs no classes
    and also erases a mixture of known distortions in other proportions.

    Args:
        clean: (N, D) features of utterances.
        distorted: (N, D), of the same utterances distorted; with several copies of each, repeat
            ``clean``.
        rank: number of directions.

    Raises:
        ConfigError: ``rank`` is not in 1..D.
    """
    size = clean.shape[1]
    if not 1 <= rank <= size:
        raise ConfigError(f"rank: {rank} is not in 1..{size}, the number of values of a feature")
    mean = clean.mean(0)
    whiten, unwhiten = _whiteners(clean.astype(float) - mean)
    changes = (distorted.astype(float) - clean) @ whiten
    _, vectors = np.linalg.eigh(changes.T @ changes / len(changes))
    directions = vectors[:, -rank:]
    return Eraser(mean, unwhiten @ directions @ directions.T @ whiten)


def _whiteners(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """W, which makes the covariance of (N, D) values the identity, and its inverse."""
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = values > values[-1] * 1e-10
    root, vectors = np.sqrt(values[kept]), vectors[:, kept]
    return vectors / root @ vectors.T, vectors * root @ vectors.T
