"""The options of ``dat_conf``: which domains the student hides, how, and with which weight."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from espnet_robust.common.errors import ConfigError
from espnet_robust.distill.checks import check_numbers
from espnet_robust.distill.moments import MATCHING

METHODS = ("reversal", "alternating", *MATCHING)
DOMAINS = ("binary", "multi", "student_teacher")
HEADS = "heads"
STATS = {
    "domain_loss": "cross entropy, or the mismatch of the two sides",
    "domain_acc": "share of the frames whose domain is classified correctly",
    "domain_balanced_acc": "mean of that share over the batch's domains",
    "domain_majority": "share of the batch's most frequent domain",
    "domain_lambda": "weight of the loss for the student",
}


@dataclass(frozen=True)
class AdversaryConfig:
    """How the domain classifier is attached and used.

    Attributes:
        domains: one of DOMAINS.
        layers: the student layers that are its input, concatenated, or ``heads``: the predictions
            of all target layers. ``None`` is the last layer or, with ``student_teacher``, which
            allows nothing else, the heads.
        pooled: one decision per utterance, from the mean over its frames, or one per frame.
        hidden: units of the classifier's hidden layer.
        weight: lambda_max, the final weight of the loss for the student.
        ramp: the 10 of ``lambda(p) = lambda_max (2 / (1 + exp(-ramp p)) - 1)``, p the training
            progress in [0, 1]. 0 holds lambda at lambda_max throughout.
        start: progress in [0, 1) before which lambda is 0; p counts from there.
        method: one of METHODS; users give it as ``dat``, see ``DistillConfig``.
        classifier_steps: with ``alternating``, classifier steps before each step of the student.
        memory: with the methods in ``moments.py``, number of features from past batches used to
            estimate the spread; half of them are of clean speech.
        ridge: with ``pairs`` and ``linear``, added to the diagonal of the covariance, as a share of
            each variance.
    """

    domains: str = "binary"
    layers: Sequence[int] | str | None = None
    pooled: bool = True
    hidden: int = 128
    weight: float = 0.1
    ramp: float = 10.0
    start: float = 0.0
    method: str = "reversal"
    classifier_steps: int = 1
    memory: int = 512
    ridge: float = 0.03

    def __post_init__(self):
        if self.domains not in DOMAINS:
            raise ConfigError(f"domains: {self.domains!r} is not binary, multi or student_teacher")
        if self.method not in METHODS:
            raise ConfigError(f"method: {self.method!r} is not one of {', '.join(METHODS)}")
        if self.layers not in (None, HEADS) and not _are_numbers(self.layers):
            raise ConfigError(f"layers: {self.layers!r} is not a list of layers or `heads`")
        if self.domains == "student_teacher" and self.layers not in (None, HEADS):
            raise ConfigError("layers: student_teacher compares predictions: leave layers out")
        if self.matches and self.domains != "binary":
            raise ConfigError(f"domains: {self.method} supports only `binary`: distorted or not")
        check_numbers(vars(self), ("weight", "ramp", "ridge", "start"))
        check_numbers(vars(self), ("hidden", "classifier_steps", "memory"), whole=True)
        if min(self.weight, self.ramp, self.ridge) < 0:
            raise ConfigError("weight, ramp and ridge must not be negative")
        if not 0 <= self.start < 1:
            raise ConfigError(f"start: {self.start} is not in [0, 1)")
        if min(self.hidden, self.classifier_steps, self.memory) < 1:
            raise ConfigError("hidden, classifier_steps and memory must be at least 1")
        if self.matches and self.memory < 2:
            raise ConfigError(
                "memory: 1 is too few: half of it is for clean features; 512 is usual"
            )

    @property
    def matches(self) -> bool:
        """Whether clean and distorted features are matched, without a classifier."""
        return self.method in MATCHING

    @property
    def stats(self) -> set[str]:
        """The names in STATS that are reported for each batch."""
        return {"domain_loss", "domain_lambda"} if self.matches else set(STATS)

    @property
    def hears_heads(self) -> bool:
        """Whether the classifier's input is predictions rather than hidden states."""
        return self.domains == "student_teacher" or self.layers == HEADS


def _are_numbers(layers) -> bool:
    listed = isinstance(layers, Sequence) and not isinstance(layers, str)
    return listed and len(layers) > 0 and all(isinstance(layer, int) for layer in layers)


def ramp(progress: float, config: AdversaryConfig) -> float:
    """lambda at training progress in [0, 1] (arXiv:1505.07818, section 5.2.2)."""
    if progress < config.start:
        return 0.0
    progress = (progress - config.start) / (1 - config.start)
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
    """The number of classes of the classifier."""
    if config.domains == "student_teacher":
        return 2
    return max(domain_labels(kinds, config).values()) + 1
