"""The mismatch between a student's states for distorted speech and for the same speech undistorted.

These methods hide the domain without a classifier trained against the student. Each distorted
utterance of a batch is also processed undistorted, so that the two sides differ in the distortion
and not in the words. With x, c the features of one utterance on the two sides, D values each:

    method    value of an utterance; the student minimises the mean
    pairs     |x - c|^2 / D, for each utterance by itself
    linear    (x - c)' (mean x - mean c) / D: the shift of the mean that a linear classifier sees
    coral     the same for first and second moments (after CORAL, arXiv:1607.01719)
    mmd       the same for Gaussian features of five widths (arXiv:1502.02791)

The last three are s(x) - s(c), where s scores a feature by its mean similarity to one side of the
batch minus that to the other, and the similarity is a kernel. With ``pairs`` and ``linear``,
features are whitened by the within-side covariance; with the others, standardised (``Spread``). The
spread changes slowly and is estimated from past batches. The sides themselves are not: the student
has changed since then, and would oscillate if it followed an outdated shift.
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
    """Spread of features within sides: (D,) centre and scale, (D, D) Cholesky factor or None."""

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
        ridge: added to the diagonal of the covariance, as a share of each variance, because few
            examples give unreliable estimates in directions of low variance.
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

    distorted, clean: (M, D), rows of the same utterances; weights: (M,), which sum to 1.
    """

    distorted: Tensor
    clean: Tensor
    weights: Tensor


def mismatch(method: str, x: Tensor, clean: Tensor, sides: Sides) -> Tensor:
    """(N,) values of utterances with features x and clean (N, D), after ``Spread``."""
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
    # Not with cdist, whose gradient is NaN if two rows are equal.
    return x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T


KERNELS = {"linear": _linear, "coral": _coral, "mmd": _mmd}
MATCHING = ("pairs", *KERNELS)
