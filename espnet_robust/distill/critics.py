"""Critics of a student's domains that are solved and not trained: at their best in every step.

A critic is put together from the examples in memory, in closed form. It scores a new example x for
each class k by its mean likeness to the remembered examples of k, over that to all of them,

    s_k(x) = mean over k of kernel(x, x_j) - mean over all of kernel(x, x_j),

and the student descends what an example's class and its scores have in common, the sum over k of
(z_k - p_k) s_k(x) / p_k, with z_k 1 for its own class and p_k the share of k. Its mean estimates
without bias how much the classes differ (HSIC of features and class, arXiv:0805.2368, each class
weighing the same), and is a sum over examples: processes that share a batch need each other's
memory only. What counts as a difference, the kernel says:

    linear    (x - m)' S^-1 (x_j - m), S the covariance within the classes: shifts of means as a
              linear classifier sees them, Fisher's discriminant
    coral     u + u^2, u = (x - m)' (x_j - m) / D of standardised features: differences of means
              and of second moments (after CORAL, arXiv:1607.01719)
    mmd       Gaussian, of five widths about the median distance (arXiv:1502.02791)
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Kernel = Callable[[Tensor, Tensor], Tensor]  # (N, D), (M, D) -> (N, M)
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Critic:
    """Scores of examples, from a memory.

    Attributes:
        rows: (M, D) remembered examples, as the kernel takes them.
        member: (M, K), 1 / size of the class where an example is in it, less 1 / M.
        shares: (K,) of the classes in memory, 0 for one that is not there.
        offsets: (K,), half the squared length of each class's mean in the kernel's space.
        whiten: (N, D) features -> what the kernel takes.
        kernel: likeness.
    """

    rows: Tensor
    member: Tensor
    shares: Tensor
    offsets: Tensor
    whiten: Callable[[Tensor], Tensor]
    kernel: Kernel

    def scores(self, x: Tensor) -> Tensor:
        """(N, D) features -> (N, K), with a gradient to ``x``; 0 for an unknown class."""
        return self.kernel(self.whiten(x), self.rows) @ self.member

    def decide(self, scores: Tensor) -> Tensor:
        """(N,) int64: the class whose mean is nearest, whatever its share."""
        return (scores - self.offsets).masked_fill(self.shares == 0, -torch.inf).argmax(1)

    def values(self, scores: Tensor, labels: Tensor) -> Tensor:
        """(N,) of which the student descends the mean. ``labels``: (N,) int64 classes."""
        known = self.shares > 0
        z = F.one_hot(labels, len(self.shares)).to(scores)
        contrast = (z - self.shares) / torch.where(known, self.shares, 1.0)
        return (contrast * scores * known).sum(1)


def fit_critic(name: str, rows: Tensor, labels: Tensor, classes: int, ridge: float) -> Critic:
    """A critic of (M, D) remembered examples and their (M,) int64 classes.

    Args:
        name: one of KERNELS.
        classes: K.
        ridge: what ``linear`` adds to the covariance, as a share of each feature's variance.
    """
    rows = rows.float()
    z = F.one_hot(labels, classes).to(rows)
    sizes = z.sum(0)
    means = z.T @ rows / sizes.clamp(min=1)[:, None]
    centre = rows.mean(0)
    if name == "linear":
        residual = rows - means[labels]
        covariance = residual.T @ residual / len(rows)
        variance = covariance.diagonal()
        floor = variance.mean() * 1e-6 + 1e-12
        covariance = covariance + torch.diag(ridge * variance + floor)
        factor = torch.linalg.cholesky(covariance)

        def whiten(x: Tensor) -> Tensor:
            return torch.linalg.solve_triangular(factor, (x - centre).T, upper=False).T
    else:
        scale = rows.std(0, correction=0).clamp(min=1e-6)

        def whiten(x: Tensor) -> Tensor:
            return (x - centre) / scale

    white = whiten(rows)
    kernel = KERNELS[name](white)
    member = torch.where(sizes > 0, z / sizes.clamp(min=1) - 1 / len(rows), 0.0)
    offsets = (member * (kernel(white, white) @ member)).sum(0) / 2
    return Critic(white, member, sizes / len(rows), offsets, whiten, kernel)


def _linear(rows: Tensor) -> Kernel:
    return lambda x, y: x @ y.T


def _coral(rows: Tensor) -> Kernel:
    size = rows.shape[1]

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        inner = x @ y.T / size
        return inner + inner.square()

    return kernel


def _mmd(rows: Tensor) -> Kernel:
    median = torch.cdist(rows, rows).square().median().clamp(min=1e-6)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        # Not by cdist: its gradient is NaN where two examples are the same.
        squares = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
        return sum(torch.exp(-squares / (width * median)) for width in WIDTHS) / len(WIDTHS)

    return kernel


KERNELS = {"linear": _linear, "coral": _coral, "mmd": _mmd}
