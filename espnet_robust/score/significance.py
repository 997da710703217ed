"""How far error rates and their differences can be trusted: bootstrap over utterances.

Bisani & Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP
2004. Utterances are drawn with replacement; the same draw serves every condition and both
systems, which are tested on the same utterances, so that what is hard about an utterance cancels
in a difference. Intervals say what to expect of other utterances by the same speakers, not of other
speakers or other training seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from espnet_robust.common.errors import UserError

DRAWS = 2000
BATCH = 100  # draws at a time: bounds the memory to BATCH x utterances


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % bootstrap confidence interval (percentiles)."""

    value: float
    low: float
    high: float

    def map(self, f: Callable[[float], float]) -> "Interval":
        """The interval of ``f(value)``, where ``f`` is monotone, rising or falling."""
        low, high = sorted((f(self.low), f(self.high)))
        return Interval(f(self.value), low, high)


@dataclass(frozen=True)
class Difference:
    """System minus baseline.

    Args:
        rate: difference of the error rates in points, below 0 where the system is better.
        better: share of the draws in which the system makes fewer errors, in [0, 1].
    """

    rate: Interval
    better: float


@dataclass(frozen=True)
class UtteranceErrors:
    """Errors of a system, by condition and utterance.

    Args:
        units: (conditions, utterances), words or labels in the references.
        errors: (conditions, utterances), errors; a mean over seeds where there are several.
    """

    units: np.ndarray
    errors: np.ndarray


def collect(
    runs: Sequence[Mapping[str, Mapping[str, tuple[int, int]]]], conditions: Sequence[str]
) -> UtteranceErrors:
    """Join the counts of all seeds of a system, each as ``schema.read_counts`` returns them.

    Raises:
        UserError: a condition is missing, or conditions or seeds differ in their utterances.
    """
    utterances = sorted(runs[0].get(conditions[0], ()))
    units, errors = [], []
    for name in conditions:
        counts = []
        for run in runs:
            if not utterances or sorted(run.get(name, ())) != utterances:
                raise UserError(f"condition {name!r} lacks utterances that other tests have")
            counts.append([run[name][utt] for utt in utterances])
        mean = np.mean(counts, axis=0)  # (utterances, 2)
        units.append(mean[:, 0])
        errors.append(mean[:, 1])
    return UtteranceErrors(np.array(units), np.array(errors))


def error_rate(system: UtteranceErrors, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Errors in per cent of the units, averaged over the conditions."""
    (point,), (drawn,) = _rates([system], draws, seed)
    return _interval(point, drawn)


def compare(
    system: UtteranceErrors, baseline: UtteranceErrors, *, draws: int = DRAWS, seed: int = 0
) -> Difference:
    """Paired comparison of error rates, averaged over the conditions.

    Raises:
        UserError: the two were not scored against the same references.
    """
    if not np.array_equal(system.units, baseline.units):
        raise UserError("scored against other references than the baseline")
    points, drawn = _rates([system, baseline], draws, seed)
    delta = drawn[0] - drawn[1]
    # A tie counts half: identical systems are better than each other in half of the draws.
    better = np.mean(delta < 0) + np.mean(delta == 0) / 2
    return Difference(_interval(points[0] - points[1], delta), float(better))


def _rates(
    systems: Sequence[UtteranceErrors], draws: int, seed: int
) -> tuple[list[float], np.ndarray]:
    """Each system's rate, averaged over conditions, and that of each draw: (systems, draws)."""
    rng = np.random.default_rng(seed)
    n = systems[0].units.shape[1]
    drawn = []
    for start in range(0, draws, BATCH):
        # How often each utterance is drawn: (batch, utterances).
        times = rng.multinomial(n, np.full(n, 1 / n), size=min(BATCH, draws - start))
        drawn.append([_mean_rate(times, s) for s in systems])
    points = [float(_mean_rate(np.ones((1, n)), s)[0]) for s in systems]
    return points, np.concatenate(drawn, axis=1)


def _mean_rate(times: np.ndarray, system: UtteranceErrors) -> np.ndarray:
    units = np.maximum(times @ system.units.T, 1)  # a draw of empty references only: no division
    return (100 * (times @ system.errors.T) / units).mean(axis=1)


def _interval(value: float, drawn: np.ndarray) -> Interval:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(value), float(low), float(high))
