"""Scores of several systems and seeds, grouped and in a fixed order."""

import itertools
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from espnet_robust.common.errors import UserError
from espnet_robust.data.conditions import CLEAN
from espnet_robust.score.metrics import Metric
from espnet_robust.score.schema import ConditionScore, Scores


@dataclass(frozen=True)
class Spread:
    """Mean over seeds and, for two or more, their sample standard deviation."""

    mean: float
    std: float | None

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread | None":
        """None if any value is: a mean over other seeds than the rest of its row would mislead."""
        known = complete(values)
        if not known:
            return None
        return cls(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)


def complete(values: Iterable[float | None]) -> list[float]:
    """The values, or nothing where one is missing."""
    values = list(values)
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else []


@dataclass(frozen=True)
class System:
    """All runs of one system, one a seed, in the order of their seeds."""

    name: str
    runs: tuple[Scores, ...]

    def at(self, condition: str, metric: Metric) -> list[float | None]:
        """The metric in a condition, one value per seed; None if it was not measured."""
        scores = [run.condition(condition) for run in self.runs]
        return [getattr(s, metric.field) if s else None for s in scores]

    def averaged(self, conditions: Sequence[str], metric: Metric) -> list[float | None]:
        """The mean of the metric over conditions, one value per seed; None if one is missing."""
        if not conditions:
            return [None] * len(self.runs)
        by_seed = map(complete, zip(*(self.at(c, metric) for c in conditions), strict=True))
        return [statistics.fmean(values) if values else None for values in by_seed]


@dataclass(frozen=True)
class Results:
    """What a report shows, in the order in which it shows it.

    Args:
        systems: columns of its tables.
        conditions: rows: ``clean`` first, then the others in the order in which they were scored;
            a series of SNRs stays together, highest first.
    """

    systems: tuple[System, ...]
    conditions: tuple[ConditionScore, ...]

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.conditions]

    @property
    def distorted(self) -> list[str]:
        """Names of all conditions but the clean one."""
        return [name for name in self.names if name != CLEAN]

    def system(self, name: str) -> System:
        """Raises UserError with the names there are."""
        for system in self.systems:
            if system.name == name:
                return system
        raise _unknown(name, [s.name for s in self.systems])

    def measured(self, metric: Metric) -> bool:
        """Whether any system has a value of this metric."""
        values = (v for s in self.systems for name in self.names for v in s.at(name, metric))
        return any(value is not None for value in values)


def gather(scores: Iterable[Scores], order: Sequence[str] = ()) -> Results:
    """Group scores by system and order everything, whatever the order they come in.

    Args:
        scores: one for each system and seed.
        order: names of systems to show, in this order. Default: all of them, by name.

    Raises:
        UserError: no scores, a system and seed twice, different tasks, one condition with
            different SNRs, or names in ``order`` without scores.
    """
    scores = sorted(scores, key=lambda s: (s.system, s.seed))
    if not scores:
        raise UserError("no scores to report")
    if order:
        systems_there = sorted({s.system for s in scores})
        if unknown := [name for name in order if name not in systems_there]:
            raise _unknown(unknown[0], systems_there)
        scores = [s for s in scores if s.system in order]  # others decide nothing
    for a, b in itertools.pairwise(scores):
        if (a.system, a.seed) == (b.system, b.seed):
            raise UserError(f"two scores of system {a.system!r} with seed {a.seed}")
    tasks = sorted({s.task for s in scores})
    if len(tasks) > 1:
        raise UserError(f"scores of different tasks cannot share a table: {', '.join(tasks)}")
    conditions: dict[str, ConditionScore] = {}
    for condition in itertools.chain.from_iterable(s.conditions for s in scores):
        known = conditions.setdefault(condition.name, condition)
        if known.snr_db != condition.snr_db:
            raise UserError(
                f"condition {known.name!r} has an SNR of {known.snr_db} dB in one score and "
                f"{condition.snr_db} dB in another"
            )
    systems = tuple(
        System(name, tuple(runs)) for name, runs in itertools.groupby(scores, lambda s: s.system)
    )
    results = Results(systems, tuple(_in_order(conditions.values())))
    return replace(results, systems=tuple(map(results.system, order))) if order else results


def _unknown(system: str, known: Sequence[str]) -> UserError:
    return UserError(f"no scores of a system {system!r}; there are: {', '.join(known)}")


def stem(condition: ConditionScore) -> str:
    """Name without its SNR: conditions that share it differ in SNR only.

    >>> stem(ConditionScore("noise_in_snr-5", 1, snr_db=-5.0))
    'noise_in'
    """
    if condition.snr_db is None:
        return condition.name
    return re.sub(r"_?snr_?-?[\d.]+(db)?$", "", condition.name, flags=re.IGNORECASE)


def _in_order(conditions: Iterable[ConditionScore]) -> list[ConditionScore]:
    conditions = list(conditions)
    first: dict[str, int] = {}
    for i, c in enumerate(conditions):
        first.setdefault(stem(c), i)
    return sorted(conditions, key=lambda c: (c.name != CLEAN, first[stem(c)], -(c.snr_db or 0)))
