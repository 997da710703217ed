"""Domain adversarial training (Ganin et al., arXiv:1505.07818) of a student.

A classifier learns a domain from what the student computes; the student learns to give the domain
away as little as it can. What the classifier hears and what it tells apart:

    domains           hears                                classes
    binary            student layers, or its predictions   clean, distorted
    multi             student layers, or its predictions   clean, and one for each distortion
    student_teacher   predictions and targets              the teacher's, the student's

How the student is set against it:

    method        every step
    reversal      classifier descends CE, student descends distill - lambda CE, at once
    alternating   ``classifier_steps`` of the first only, then one of the second only
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from espnet_robust.distill.schedule import Schedule
from espnet_robust.errors import ConfigError
from espnet_robust.models.padding import valid_frames

METHODS = ("reversal", "alternating")
DOMAINS = ("binary", "multi", "student_teacher")
HEADS = "heads"


@dataclass(frozen=True)
class AdversaryConfig:
    """How the domain classifier is attached and used.

    Attributes:
        domains: one of DOMAINS.
        layers: student layers it hears, side by side, or ``heads``: the predictions of all target
            layers. ``None`` is the last layer; with ``student_teacher``, which has no other way,
            the heads.
        pooled: one decision an utterance from the mean over its frames, or one a frame.
        hidden: units of the classifier's hidden layer.
        weight: lambda_max, the final weight of the student's share.
        ramp: the 10 of ``lambda(p) = lambda_max (2 / (1 + exp(-ramp p)) - 1)``, p the training
            progress in [0, 1]. 0 holds lambda at lambda_max throughout.
        method: one of METHODS; a user names it by ``dat``, see ``DistillConfig``.
        classifier_steps: with ``alternating``, steps of the classifier before each of the student.
    """

    domains: str = "binary"
    layers: Sequence[int] | str | None = None
    pooled: bool = True
    hidden: int = 128
    weight: float = 0.1
    ramp: float = 10.0
    method: str = "reversal"
    classifier_steps: int = 1

    def __post_init__(self):
        if self.domains not in DOMAINS:
            raise ConfigError(f"domains: {self.domains!r} is not binary, multi or student_teacher")
        if self.method not in METHODS:
            raise ConfigError(f"method: {self.method!r} is not reversal or alternating")
        if self.layers not in (None, HEADS) and not _are_numbers(self.layers):
            raise ConfigError(f"layers: {self.layers!r} is not a list of layers or `heads`")
        if self.domains == "student_teacher" and self.layers not in (None, HEADS):
            raise ConfigError("layers: student_teacher compares predictions: leave layers out")
        if self.weight < 0 or self.ramp < 0:
            raise ConfigError("weight and ramp must not be negative")
        if self.hidden < 1 or self.classifier_steps < 1:
            raise ConfigError("hidden and classifier_steps must be at least 1")

    @property
    def hears_heads(self) -> bool:
        """Whether the classifier hears predictions rather than hidden states."""
        return self.domains == "student_teacher" or self.layers == HEADS


def _are_numbers(layers) -> bool:
    listed = isinstance(layers, Sequence) and not isinstance(layers, str)
    return listed and len(layers) > 0 and all(isinstance(layer, int) for layer in layers)


@dataclass(frozen=True)
class AdversaryInput:
    """One batch of B utterances with N valid frames in all, rows of N grouped by utterance.

    Attributes:
        states: {student layer: (B, T, D)}.
        lengths: (B,) frames.
        domain: (B,) int64, the class of each utterance; not read with ``student_teacher``.
        predictions: {target: (N, D)} of the student's heads.
        targets: {target: (N, D)} of the teacher.
    """

    states: Mapping[int, Tensor]
    lengths: Tensor
    domain: Tensor
    predictions: Mapping[str, Tensor]
    targets: Mapping[str, Tensor]


@dataclass(frozen=True)
class AdversaryOutput:
    """What one step of the adversary asks for.

    Attributes:
        loss: scalar, to be added to ``distill_weight`` times the distillation loss.
        distill_weight: 0 on a step of the classifier alone, when the distillation loss must stay
            out of the sum: a product with 0 would hand the student gradients of zero, which
            momentum and weight decay turn into updates. Else 1.
        stats: detached scalars ``domain_loss`` (cross entropy), ``domain_acc`` (share of the
            frames decided rightly) and ``domain_lambda``.
    """

    loss: Tensor
    distill_weight: float
    stats: dict[str, Tensor]


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * grad, None


def reverse_gradient(x: Tensor, scale: float) -> Tensor:
    """Identity forwards; multiplies the gradient by ``-scale`` backwards."""
    return _ReverseGradient.apply(x, scale)


def ramp(progress: float, config: AdversaryConfig) -> float:
    """lambda at training progress in [0, 1] (arXiv:1505.07818, section 5.2.2)."""
    if config.ramp == 0:
        return config.weight
    return config.weight * (2 / (1 + math.exp(-config.ramp * progress)) - 1)


def domain_labels(kinds: Sequence[str], config: AdversaryConfig) -> dict[str, int]:
    """{kind of distortion: class of an utterance}. ``clean`` is class 0."""
    if config.domains == "multi":
        others = sorted(set(kinds) - {"clean"})
        return {"clean": 0} | {kind: i for i, kind in enumerate(others, 1)}
    return {kind: int(kind != "clean") for kind in kinds}


def count_domains(kinds: Sequence[str], config: AdversaryConfig) -> int:
    """Classes that the classifier tells apart."""
    if config.domains == "student_teacher":
        return 2
    return max(domain_labels(kinds, config).values()) + 1


class Adversary(nn.Module):
    """The domain classifier and its use against the student.

    Args:
        size: D of the student.
        num_layers: depth of the student, to check ``config.layers``.
        num_domains: classes, see ``count_domains``.
        head_sizes: {target: D of its predictions}; read if the classifier hears the heads.
    """

    def __init__(
        self,
        size: int,
        num_layers: int,
        num_domains: int,
        config: AdversaryConfig,
        head_sizes: Mapping[str, int] | None = None,
    ):
        super().__init__()
        self.config = config
        self.heads = tuple(head_sizes or ())
        self.layers = () if config.hears_heads else tuple(config.layers or (num_layers,))
        if beyond := [layer for layer in self.layers if not 0 <= layer <= num_layers]:
            raise ConfigError(f"dat_conf: layers: {beyond[0]} is not in 0..{num_layers}")
        heard = sum(head_sizes.values()) if config.hears_heads else size * len(self.layers)
        self.classifier = nn.Sequential(
            nn.Linear(heard, config.hidden), nn.ReLU(), nn.Linear(config.hidden, num_domains)
        )

    def forward(self, inputs: AdversaryInput, schedule: Schedule) -> AdversaryOutput:
        """The loss of one step, at the point ``schedule`` of the training.

        In evaluation the loss is the cross entropy, whatever the method.
        """
        scale = ramp(schedule.share, self.config)
        x, classes, weights = self._examples(inputs)
        sign, distill_weight = 1.0, 1.0
        if not self.training or self.config.method == "reversal":
            logits = self.classifier(reverse_gradient(x, scale))
        elif self._is_classifier_step(schedule.step):
            logits = self.classifier(x.detach())
            distill_weight = 0.0
        else:
            constant = {name: p.detach() for name, p in self.classifier.named_parameters()}
            logits = functional_call(self.classifier, constant, (x,))
            sign = -scale
        cross_entropy = (
            F.cross_entropy(logits.float(), classes, reduction="none").mul(weights).sum()
        )
        stats = {
            "domain_loss": cross_entropy.detach().clone(),
            "domain_acc": (logits.detach().argmax(-1) == classes).mul(weights).sum(),
            "domain_lambda": cross_entropy.new_tensor(scale),
        }
        return AdversaryOutput(sign * cross_entropy, distill_weight, stats)

    def _is_classifier_step(self, step: int) -> bool:
        return step % (self.config.classifier_steps + 1) < self.config.classifier_steps

    def _examples(self, inputs: AdversaryInput) -> tuple[Tensor, Tensor, Tensor]:
        """What is classified, (examples, features) float32; classes and weights, (examples,).

        Every frame weighs the same, pooled or not: as ESPnet weighs the ranks of a distributed run
        by their frames, their sum is then the loss of the whole batch.
        """
        lengths = inputs.lengths
        classes, weights = inputs.domain, lengths.float()
        if not self.config.pooled:
            classes, weights = (v.repeat_interleave(lengths) for v in (classes, weights / lengths))
        if self.config.domains == "student_teacher":
            x = torch.cat([self._heads(v, lengths) for v in (inputs.targets, inputs.predictions)])
            classes = torch.arange(2, device=x.device).repeat_interleave(len(weights))
            weights = weights.repeat(2)
        elif self.config.hears_heads:
            x = self._heads(inputs.predictions, lengths)
        else:
            states = [valid_frames(inputs.states[layer], lengths) for layer in self.layers]
            x = self._pool(torch.cat(states, dim=-1), lengths)
        return x, classes, weights / weights.sum()

    def _heads(self, frames: Mapping[str, Tensor], lengths: Tensor) -> Tensor:
        return self._pool(torch.cat([frames[name] for name in self.heads], dim=-1), lengths)

    def _pool(self, frames: Tensor, lengths: Tensor) -> Tensor:
        frames = frames.float()
        if not self.config.pooled:
            return frames
        return torch.stack([rows.mean(0) for rows in frames.split(lengths.tolist())])
