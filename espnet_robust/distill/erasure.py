"""Linear concept erasure in closed form (LEACE; Belrose et al., arXiv:2306.03819).

It shows the least that hiding a domain from every linear classifier costs, and the most that it
gains: a reference for adversaries. It is fitted to a finished student and trains nothing.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Eraser:
    """x -> x - P (x - mean). mean: (D,); projection P: (D, D), of at most as many dimensions as
    there are classes less one."""

    mean: np.ndarray
    projection: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, D) features -> (N, D) without linear information on the classes."""
        return x - (x - self.mean) @ self.projection.T


def fit_eraser(x: np.ndarray, labels: np.ndarray) -> Eraser:
    """The affine map that changes ``x`` least and makes all class means equal.

    P = W^+ (W S_xz)(W S_xz)^+ W, where W whitens x (theorem 4.2). On the result, no linear
    classifier does better than a constant.

    Args:
        x: (N, D) features.
        labels: (N,) classes.
    """
    z = (labels[:, None] == np.unique(labels)).astype(float)
    mean = x.mean(0)
    centred = x.astype(float) - mean
    covariance = centred.T @ centred / len(x)
    values, vectors = np.linalg.eigh(covariance)
    kept = values > values[-1] * 1e-10
    root, vectors = np.sqrt(values[kept]), vectors[:, kept]
    whiten = vectors / root @ vectors.T
    unwhiten = vectors * root @ vectors.T
    directions, sizes, _ = np.linalg.svd(
        whiten @ centred.T @ (z - z.mean(0)) / len(x), full_matrices=False
    )
    directions = directions[:, sizes > 1e-10 * max(sizes[0], 1e-10)]
    return Eraser(mean, unwhiten @ directions @ directions.T @ whiten)
