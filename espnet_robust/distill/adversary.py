"""Domain adversarial training (Ganin et al., arXiv:1505.07818) of a student.

A classifier learns to tell the domain from the student's states; the student learns to reveal as
little of it as possible. The classifier's input and classes:

    domains           input                                classes
    binary            student layers, or its predictions   clean, distorted
    multi             student layers, or its predictions   clean, and one per distortion
    student_teacher   predictions and targets              the teacher's, the student's

How the student is trained against it:

    method        in every step
    reversal      the classifier minimises CE and the student distill - lambda CE, simultaneously
    alternating   ``classifier_steps`` steps of the classifier alone, then one of the student alone
    pairs, linear, coral, mmd
                  no classifier is trained: the student minimises distill + lambda mismatch between
                  its features for the batch distorted and undistorted (``moments.py``)
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from espnet_robust.common.errors import ConfigError
from espnet_robust.distill.domains import AdversaryConfig, ramp
from espnet_robust.distill.memory import Memory, of_all_processes
from espnet_robust.distill.moments import Sides, fit_spread, mismatch
from espnet_robust.distill.schedule import Schedule
from espnet_robust.models.padding import mean_over_time, valid_frames


@dataclass(frozen=True)
class AdversaryInput:
    """One batch of B utterances with N valid frames in total, utterance after utterance.

    Attributes:
        states: {student layer: (B, T, D)}.
        lengths: (B,) frames.
        domain: (B,) int64, the class of each utterance; not used with ``student_teacher``.
        predictions: {target: (N, D)} from the student's heads.
        targets: {target: (N, D)} from the teacher.
        clean: the student's states and predictions for the same crops undistorted, for the methods
            in ``moments.py``.
    """

    states: Mapping[int, Tensor]
    lengths: Tensor
    domain: Tensor
    predictions: Mapping[str, Tensor]
    targets: Mapping[str, Tensor]
    clean: tuple[Mapping[int, Tensor], Mapping[str, Tensor]] | None = None


@dataclass(frozen=True)
class AdversaryOutput:
    """The result of one step of the adversary.

    Attributes:
        loss: scalar, to be added to ``distill_weight`` times the distillation loss.
        distill_weight: 0 in a step of the classifier alone, else 1. With 0 the distillation loss
            must be left out of the sum: a product with 0 would give the student zero gradients,
            which momentum and weight decay turn into updates.
        stats: detached scalars, see STATS.
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
    """Identity in the forward pass; multiplies the gradient by ``-scale`` in the backward pass."""
    return _ReverseGradient.apply(x, scale)


class Adversary(nn.Module):
    """The domain classifier and its use against the student.

    Args:
        size: D of the student.
        num_layers: depth of the student, to check ``config.layers``.
        num_domains: number of classes, see ``count_domains``.
        head_sizes: {target: D of its predictions}, used if the classifier's input is the heads.
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
        # The highest layer that its gradient enters; the heads are on the last one.
        self.top = max(self.layers, default=num_layers)
        if config.matches:
            self.memory = Memory(config.memory, heard)
        else:
            self.classifier = nn.Sequential(
                nn.Linear(heard, config.hidden), nn.ReLU(), nn.Linear(config.hidden, num_domains)
            )

    def forward(self, inputs: AdversaryInput, schedule: Schedule) -> AdversaryOutput:
        """The loss of one step, at the point ``schedule`` of the training.

        In evaluation the loss is the cross entropy or the mismatch, whatever lambda is.
        """
        scale = ramp(schedule.share, self.config)
        if self.config.matches:
            value = self._mismatch(inputs)
            sign, distill_weight, stats = scale if self.training else 1.0, 1.0, {}
        else:
            x, classes, weights = self._examples(inputs)
            sign, distill_weight, values, decided = self._classify(x, classes, scale, schedule)
            value = values.mul(weights).sum()
            stats = _accuracies(decided == classes, classes, weights)
        stats |= {"domain_loss": value.detach().clone(), "domain_lambda": value.new_tensor(scale)}
        return AdversaryOutput(sign * value, distill_weight, stats)

    def _mismatch(self, inputs: AdversaryInput) -> Tensor:
        """Weighted sum of the values of distorted utterances; undistorted ones count as 0."""
        x, classes, weights = self._examples(inputs)
        clean = self._heard(*inputs.clean, inputs.lengths)
        distorted = classes != 0
        frames = weights * inputs.lengths.sum() * distorted
        whole = of_all_processes(torch.cat([x, clean, frames[:, None]], dim=1))
        whole = whole[whole[:, -1] > 0]
        x, clean, weights = x[distorted], clean[distorted], weights[distorted]
        if not len(whole):
            return x.sum()
        sides = whole[:, :-1].split(x.shape[1], dim=1)
        if self.training:
            for side, rows in enumerate(reversed(sides)):
                self.memory.add(rows, torch.full((len(rows),), float(side), device=rows.device))
        spread = fit_spread(self.config.method, *self._remembered(sides), self.config.ridge)
        batch = Sides(*(spread(side) for side in sides), whole[:, -1] / whole[:, -1].sum())
        return mismatch(self.config.method, spread(x), spread(clean), batch) @ weights

    def _remembered(self, sides: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        rows, labels = self.memory.get()
        if len(rows):
            return rows, labels
        distorted, clean = sides  # validation before any training
        return torch.cat([clean, distorted]), torch.arange(
            2, device=clean.device
        ).repeat_interleave(len(clean))

    def _classify(
        self, x: Tensor, classes: Tensor, scale: float, schedule: Schedule
    ) -> tuple[float, float, Tensor, Tensor]:
        """Loss factor, distill_weight, and each example's cross entropy and decision."""
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
        values = F.cross_entropy(logits.float(), classes, reduction="none")
        return sign, distill_weight, values, logits.detach().argmax(-1)

    def _is_classifier_step(self, step: int) -> bool:
        return step % (self.config.classifier_steps + 1) < self.config.classifier_steps

    def _examples(self, inputs: AdversaryInput) -> tuple[Tensor, Tensor, Tensor]:
        """The examples to classify, (examples, features) float32; classes and weights (examples,).

        Every frame has the same weight, pooled or not. ESPnet weights the ranks of a distributed
        run by their frames, so their sum is then the loss of the whole batch.
        """
        lengths = inputs.lengths
        classes, weights = inputs.domain, lengths.float()
        if not self.config.pooled:
            classes, weights = (v.repeat_interleave(lengths) for v in (classes, weights / lengths))
        if self.config.domains == "student_teacher":
            x = torch.cat([self._heads(v, lengths) for v in (inputs.targets, inputs.predictions)])
            classes = torch.arange(2, device=x.device).repeat_interleave(len(weights))
            weights = weights.repeat(2)
        else:
            x = self._heard(inputs.states, inputs.predictions, lengths)
        return x, classes, weights / weights.sum()

    def _heard(
        self, states: Mapping[int, Tensor], predictions: Mapping[str, Tensor], lengths: Tensor
    ) -> Tensor:
        if self.config.hears_heads:
            return self._heads(predictions, lengths)
        frames = [valid_frames(states[layer], lengths) for layer in self.layers]
        return self._pool(torch.cat(frames, dim=-1), lengths)

    def _heads(self, frames: Mapping[str, Tensor], lengths: Tensor) -> Tensor:
        return self._pool(torch.cat([frames[name] for name in self.heads], dim=-1), lengths)

    def _pool(self, frames: Tensor, lengths: Tensor) -> Tensor:
        frames = frames.float()
        return mean_over_time(frames, lengths) if self.config.pooled else frames


def _accuracies(right: Tensor, classes: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Accuracies of the decisions, and that of always choosing the largest class."""
    share = weights.new_zeros(int(classes.max()) + 1).index_add(0, classes, weights)
    of_right = torch.zeros_like(share).index_add(0, classes, weights * right)
    present = share > 0
    return {
        "domain_acc": of_right.sum(),
        "domain_balanced_acc": (of_right[present] / share[present]).mean(),
        "domain_majority": share.max(),
    }
