"""Distances between a student's predictions and a teacher's hidden states.

Each is ``f(prediction (N, D), target (N, D), lengths (B,)) -> scalar``: N = sum(lengths) valid
frames, utterance after utterance, float32. A YAML gives their weights: ``loss_conf: {l1: 1.0,
cosine: 1.0}``. It also gives those of auxiliary losses, which have a head of their own on the
student's last layer and another target (``AUXILIARY``).

    means over frames                    l1, cosine, mse, gram
    statistics of the batch's frames     correlation, vicreg

Statistics are those of one batch, whatever the number of processes that share it (``_pooled``).
Accumulated gradients are not equivalent to one larger batch with ``correlation`` and ``vicreg``.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor

from espnet_robust.common.errors import ConfigError
from espnet_robust.distill.checks import check_numbers
from espnet_robust.distill.denoise import Denoiser
from espnet_robust.models.speech_model import SpeechModel


def l1(prediction: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """mean |s - t|, the first term of DistilHuBERT's loss (arXiv:2110.01900, eq. 1)."""
    return F.l1_loss(prediction, target)


def cosine(prediction: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """- mean log sigmoid(cos(s, t)), the second term of DistilHuBERT's loss."""
    return -F.logsigmoid(F.cosine_similarity(prediction, target, dim=-1)).mean()


def mse(prediction: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """mean (s - t)^2."""
    return F.mse_loss(prediction, target)


def correlation(prediction: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """Cross-correlation towards identity, the student's self-correlation towards zero.

        mean_i (1 - C_ii)^2  +  mean_{i != j} C_ij^2  +  mean_{i != j} S_ij^2

    C (D, D) is the correlation over frames of the student's dimension i with the teacher's j, S
    that of the student's i with its own j (Ritter-Gutierrez et al., arXiv:2312.12153). Means
    instead of sums give the three terms equal weight whatever D is.
    """
    s, t, count = _centred(prediction), _centred(target), len(prediction)
    cross, own = _pooled(s.T @ t, count)[0], _pooled(s.T @ s, count)[0]
    variance = _pooled(t.square().sum(0), count)[0]
    by_s, by_t = torch.rsqrt(own.diagonal() + 1e-6), torch.rsqrt(variance + 1e-6)
    cross = by_s[:, None] * cross * by_t  # a constant dimension stays 0
    own = by_s[:, None] * own * by_s
    return (1 - cross.diagonal()).square().mean() + _off_diagonal(cross) + _off_diagonal(own)


def vicreg(prediction: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """Invariance, variance and covariance (arXiv:2105.04906; on HuBERT: arXiv:2508.12292).

        mean (s - t)^2  +  mean_i max(0, 1 - std_i)  +  1/25 * 1/D sum_{i != j} cov_ij^2

    std_i and cov_ij are those of the student's dimensions i and j over frames. This is the papers'
    sum with weights 25, 25, 1, divided by 25. The hinge at 1 assumes targets of unit variance, so
    use ``target_norm: statistics``.
    """
    size, count = prediction.shape[1], len(prediction)
    centred = _centred(prediction)
    covariance, frames = _pooled(centred.T @ centred, count)
    covariance = covariance * (frames / max(1.0, frames - 1))
    std = torch.sqrt(covariance.diagonal() + 1e-4)  # the paper's epsilon
    variance = F.relu(1 - std).mean()
    squares, _ = _pooled((prediction - target).square().sum(), count)
    return squares / size + variance + (size - 1) * _off_diagonal(covariance) / 25


def gram(prediction: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """The similarity of two frames of an utterance should equal that for the teacher.

        mean_k mean_l (<s_k, s_l> / D - <t_k, t_l> / D)^2

    k is any frame of the batch, l those of k's utterance: the temporal Gram matrix of STaR
    (arXiv:2312.09040).
    """
    sizes = lengths.tolist()
    total = prediction.new_zeros(())
    for s, t in zip(prediction.split(sizes), target.split(sizes), strict=True):
        total = total + len(s) * F.mse_loss(_gram_matrix(s), _gram_matrix(t))
    return total / len(prediction)


Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "l1": l1,
    "cosine": cosine,
    "mse": mse,
    "correlation": correlation,
    "vicreg": vicreg,
    "gram": gram,
}
# Those of the whole batch: a process that has no share of it takes part without any frames.
OF_BATCH = ("correlation", "vicreg")


class AuxiliaryLoss(Protocol):
    """The interface of a module in ``AUXILIARY``: a second task, in addition to the teacher's.

    Attributes:
        key: its name in the model, the prefix of its weights in checkpoints.
        needs: the views of the crop that it uses, from those that ``Views`` offers
            (``EXTRA_VIEWS``).
    """

    key: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]

    def __init__(self, student: SpeechModel): ...

    def __call__(self, frames: Tensor, lengths: Tensor, counts: Tensor, **views: Tensor) -> Tensor:
        """The loss, a mean over frames: scalar.

        Args:
            frames: (N, D) float32, valid frames of the student's last layer, N = sum(counts).
            lengths: (B,) samples.
            counts: (B,) frames.
            views: {name in ``needs``: (B, samples)}.
        """


AUXILIARY: dict[str, type[AuxiliaryLoss]] = {"denoise": Denoiser}


def needed_views(weights: Mapping[str, float]) -> frozenset[str]:
    """The views that the named losses need besides the teacher's and the student's."""
    return frozenset(
        view for name, loss in AUXILIARY.items() if name in weights for view in loss.needs
    )


def check_loss_weights(weights: Mapping[str, float]) -> None:
    """Check names and weights.

    Raises:
        ConfigError: an unknown name, a weight that is negative or no finite number, or no distance
            to the teacher at all.
    """
    known = (*LOSSES, *AUXILIARY)
    if not isinstance(weights, Mapping):
        raise ConfigError(f"loss_conf: need {{name: weight}}, got {weights!r}")
    if unknown := sorted(map(str, set(weights) - set(known))):
        raise ConfigError(
            f"loss_conf: unknown loss {', '.join(unknown)}; known: {', '.join(known)}"
        )
    check_numbers(weights, weights, where="loss_conf: ")
    distances = [weight for name, weight in weights.items() if name in LOSSES]
    if any(weight < 0 for weight in weights.values()) or not any(distances):
        raise ConfigError(
            f"loss_conf: need at least one of {', '.join(LOSSES)} with a positive weight, and no "
            f"negative one; got {dict(weights)}"
        )


def _centred(x: Tensor) -> Tensor:
    """(N, D) minus the mean over the batch. Sums of products of the result do not change with that
    mean to first order, so it needs no gradient."""
    return x - _pooled(x.sum(0), len(x))[0].detach()


def _pooled(total: Tensor, count: int) -> tuple[Tensor, float]:
    """The mean over the frames of a batch, of which this process may have only a share.

    The value is that of the whole batch, the gradient that of the mean over this process's frames.
    The trainer weighs the gradients of the processes by their frames, so that they add up to the
    gradient of the whole, and no process has to wait for another in the backward pass.

    Args:
        total: sum over the frames of this process.
        count: their number; 0 if it has none.

    Returns:
        The mean, and the number of frames in the batch.
    """
    own = total / max(1, count)
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return own, float(count)
    whole = torch.cat([total.detach().flatten(), total.new_tensor([float(count)])])
    torch.distributed.all_reduce(whole)
    frames = float(whole[-1])
    return (whole[:-1] / max(1.0, frames)).view_as(own) + (own - own.detach()), frames


def _off_diagonal(square: Tensor) -> Tensor:
    """(D, D) -> mean of the squares of the off-diagonal values."""
    size = len(square)
    total = square.square().sum() - square.diagonal().square().sum()
    return total / max(1, size * (size - 1))


def _gram_matrix(frames: Tensor) -> Tensor:
    return frames @ frames.T / frames.shape[1]
