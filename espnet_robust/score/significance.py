"""How far error rates and their differences can be trusted: bootstrap over utterances.

Bisani & Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP
2004. Utterances are drawn with replacement; the same draw serves every condition and both
systems, which are tested on the same utterances, so that what is hard about an utterance cancels
in a difference. It speaks about other utterances of the same speakers, not about other speakers,
nor about other training seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from espnet_robust.errors import UserError

DRAWS = 2000
BATCH = 100  # draws at a time: bounds the memory to BATCH x utterances


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % bootstrap confidence interval (percentiles)."""

    value: float
    low: float
    high: float

    def subtracted_from(self, x: float) -> "Interval":
        """The interval of ``x`` minus the value: of an accuracy, from that of the error rate."""
        return Interval(x - self.value, x - self.high, x - self.low)


@dataclass(frozen=True)
class Difference:
    """System minus baseline.

    Args:
        wer: difference of WER in points, below 0 where the system is better.
        better: share of the draws in which the system has the lower WER, in [0, 1].
    """

    wer: Interval
    better: float


@dataclass(frozen=True)
class UtteranceErrors:
    """Word errors of a system, by condition and utterance.

    Args:
        words: (conditions, utterances), words in the references.
        errors: (conditions, utterances), errors; a mean over seeds where there are several.
    """

    words: np.ndarray
    errors: np.ndarray


def collect(
    runs: Sequence[Mapping[str, Mapping[str, tuple[int, int]]]], conditions: Sequence[str]
) -> UtteranceErrors:
    """Join the counts of all seeds of a system, each as of ``schema.read_counts``.

    Raises:
        UserError: a condition is missing, or conditions or seeds differ in their utterances.
    """
    utterances = sorted(runs[0].get(conditions[0], ()))
    words, errors = [], []
    for name in conditions:
        counts = []
        for run in runs:
            if not utterances or sorted(run.get(name, ())) != utterances:
                raise UserError(f"condition {name!r} lacks utterances that other tests have")
            counts.append([run[name][utt] for utt in utterances])
        mean = np.mean(counts, axis=0)  # (utterances, 2)
        words.append(mean[:, 0])
        errors.append(mean[:, 1])
    return UtteranceErrors(np.array(words), np.array(errors))


def mean_wer(system: UtteranceErrors, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """WER in per cent, averaged over the conditions."""
    (point,), (drawn,) = _rates([system], draws, seed)
    return _interval(point, drawn)


def compare(
    system: UtteranceErrors, baseline: UtteranceErrors, *, draws: int = DRAWS, seed: int = 0
) -> Difference:
    """Paired comparison of WER, averaged over the conditions.

    Raises:
        UserError: the two were not scored against the same references.
    """
    if not np.array_equal(system.words, baseline.words):
        raise UserError("scored against other references than the baseline")
    points, drawn = _rates([system, baseline], draws, seed)
    delta = drawn[0] - drawn[1]
    # A tie counts half: identical systems are better than each other in half of the draws.
    better = np.mean(delta < 0) + np.mean(delta == 0) / 2
    return Difference(_interval(points[0] - points[1], delta), float(better))


def _rates(systems, draws: int, seed: int) -> tuple[list[float], np.ndarray]:
    """Mean WER over conditions of each system, and the same of each draw: (systems, draws)."""
    rng = np.random.default_rng(seed)
    n = systems[0].words.shape[1]
    drawn = []
    for start in range(0, draws, BATCH):
        # How often each utterance is drawn: (batch, utterances).
        times = rng.multinomial(n, np.full(n, 1 / n), size=min(BATCH, draws - start))
        drawn.append([_mean_rate(times, s) for s in systems])
    points = [float(_mean_rate(np.ones((1, n)), s)[0]) for s in systems]
    return points, np.concatenate(drawn, axis=1)


def _mean_rate(times: np.ndarray, system: UtteranceErrors) -> np.ndarray:
    words = np.maximum(times @ system.words.T, 1)  # a draw of empty references only: no division
    return (100 * (times @ system.errors.T) / words).mean(axis=1)


def _interval(value: float, drawn: np.ndarray) -> Interval:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(value), float(low), float(high))
