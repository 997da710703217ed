"""How far a student's states of distorted speech lie from those of the same speech undistorted.

The ways to hide a domain without a game: nobody is trained against the student. Each utterance of a
batch that is distorted is heard undistorted too, so that the two sides differ in the distortion and
not in the words. With x, c the features of one utterance on the two sides, D values each:

    method    value of an utterance; the student descends the mean
    pairs     |x - c|^2 / D, each utterance by itself
    linear    (x - c)' (mean x - mean c) / D: a shift of the mean, as a linear classifier sees it
    coral     the same of first and second moments (after CORAL, arXiv:1607.01719)
    mmd       the same of Gaussian features, of five widths (arXiv:1502.02791)

The last three are s(x) - s(c), where s scores a feature by its mean likeness to one side of the
batch less that to the other; likeness is a kernel. With ``pairs`` and ``linear`` features are
whitened by the covariance within the sides, with the others standardised (``Spread``): that changes
slowly and is taken from past batches. The sides themselves are not: a student has moved on from
what it computed some steps ago, and chasing that shift it swings about it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Kernel = Callable[[Tensor, Tensor], Tensor]  # (N, D), (M, D) -> (N, M)
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
WHITENED = ("pairs", "linear")


@dataclass(frozen=True)
class Spread:
    """How features vary within the sides: (D,) centre and scale, (D, D) Cholesky factor or None."""

    centre: Tensor
    scale: Tensor
    factor: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """(N, D) features -> standardised, and whitened if there is a factor."""
        x = (x - self.centre) / self.scale
        if self.factor is None:
            return x
        return torch.linalg.solve_triangular(self.factor, x.T, upper=False).T


def fit_spread(method: str, rows: Tensor, sides: Tensor, ridge: float) -> Spread:
    """The spread of (M, D) features, each of side 0 or 1 in ``sides`` (M,).

    Args:
        ridge: added to the covariance, as a share of each value's variance: what few examples say
            about directions in which little varies is not to be trusted.
    """
    rows = rows.float()
    centre, scale = rows.mean(0), rows.std(0, correction=0).clamp(min=1e-8)
    if method not in WHITENED:
        return Spread(centre, scale, None)
    within = [part - part.mean(0) for part in (rows[sides == 0], rows[sides == 1]) if len(part)]
    residual = torch.cat(within) / scale
    covariance = residual.T @ residual / len(rows)
    ridged = covariance + torch.diag(ridge * covariance.diagonal() + 1e-5)
    return Spread(centre, scale, torch.linalg.cholesky(ridged))


@dataclass(frozen=True)
class Sides:
    """Both sides of a whole batch, after ``Spread``, without gradient.

    distorted, clean: (M, D), row by row of the same utterance; weights: (M,), with sum 1.
    """

    distorted: Tensor
    clean: Tensor
    weights: Tensor


def mismatch(method: str, x: Tensor, clean: Tensor, sides: Sides) -> Tensor:
    """(N,) values of utterances whose features, after ``Spread``, are x and clean (N, D)."""
    if method == "pairs":
        return (x - clean).square().mean(1)
    kernel = KERNELS[method](sides)

    def score(v: Tensor) -> Tensor:
        return (kernel(v, sides.distorted) - kernel(v, sides.clean)) @ sides.weights

    return score(x) - score(clean)


def _linear(sides: Sides) -> Kernel:
    return lambda x, y: x @ y.T / y.shape[1]


def _coral(sides: Sides) -> Kernel:
    linear = _linear(sides)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        inner = linear(x, y)
        return inner + inner.square()

    return kernel


def _mmd(sides: Sides) -> Kernel:
    median = _squares(sides.distorted, sides.clean).median().clamp(min=1e-6)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        squares = _squares(x, y) / median
        return sum(torch.exp(-squares / width) for width in WIDTHS) / len(WIDTHS)

    return kernel


def _squares(x: Tensor, y: Tensor) -> Tensor:
    # Not by cdist, whose gradient is NaN where two rows are the same.
    return x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T


KERNELS = {"linear": _linear, "coral": _coral, "mmd": _mmd}
MATCHING = ("pairs", *KERNELS)
