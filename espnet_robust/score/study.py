"""Rates with intervals and differences from a baseline: what tables, plots and the page show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from espnet_robust.data.conditions import CLEAN
from espnet_robust.score.metrics import CER, Metric
from espnet_robust.score.reading import Reading, Run, speaker_names
from espnet_robust.score.results import Results, Spread
from espnet_robust.score.significance import (
    Counted,
    Estimates,
    Scatter,
    difference,
    estimate,
    holm,
    scatter,
)

MEAN = "mean distorted"  # of all conditions but the clean one, each counting the same


@dataclass(frozen=True)
class Estimate:
    """A value of the metric, or a difference of two, with its 95 % interval.

    Args:
        value: mean over seeds, per cent or points.
        low, high: ends of the interval; None if unknown.
        std: standard deviation over seeds; None with one seed.
        p: for a difference: probability of one at least as large between equal systems, adjusted
            over the conditions of a system after Holm, but for ``MEAN``, which is one test.
    """

    value: float
    low: float | None = None
    high: float | None = None
    std: float | None = None
    p: float | None = None

    @property
    def significant(self) -> bool:
        """Whether a difference is significant at the 5 % level."""
        return self.p is not None and self.p < 0.05


@dataclass(frozen=True)
class Study:
    """One metric of all systems.

    Args:
        rates: system -> condition, or ``MEAN`` -> value; unmeasured ones are left out.
        changes: system -> the same, minus the baseline's, in points; empty without a baseline.
        speakers: condition -> number of speakers; None if unknown.
    """

    reading: Reading
    metric: Metric
    baseline: str
    rates: Mapping[str, Mapping[str, Estimate]]
    changes: Mapping[str, Mapping[str, Estimate]]
    speakers: Mapping[str, int | None]
    scatters: Mapping[str, Scatter]

    @property
    def results(self) -> Results:
        return self.reading.results

    @property
    def rows(self) -> list[str]:
        """Conditions in the order of the report, then ``MEAN`` if there are several."""
        more = [MEAN] if len(self.results.distorted) > 1 else []
        return [*self.results.names, *more]


def study(reading: Reading, metric: Metric, baseline: str = "") -> Study:
    """Estimate everything.

    Args:
        baseline: name of a system, or empty.

    Raises:
        UserError: the baseline has no scores.
    """
    results = reading.results
    if baseline:
        results.system(baseline)
    scatters = _scatters(reading, metric)
    rates: dict[str, dict[str, Estimate]] = {}
    changes: dict[str, dict[str, Estimate]] = {}
    for system in results.systems:
        rates[system.name] = _rates(results, metric, system.name, scatters.get(system.name))
        if baseline and system.name != baseline:
            pair = (scatters[system.name], scatters[baseline]) if baseline in scatters and (
                system.name in scatters) else None  # fmt: skip
            changes[system.name] = _changes(results, metric, system.name, baseline, pair)
    speakers = {c.name: _speakers(reading, c.name) for c in results.conditions}
    return Study(reading, metric, baseline, rates, changes, speakers, scatters)


def _speakers(reading: Reading, condition: str) -> int | None:
    found = (run.scores.condition(condition) for run in reading.runs)
    return next((c.speakers for c in found if c and c.speakers), None)


def _scatters(reading: Reading, metric: Metric) -> dict[str, Scatter]:
    """System -> scatter of its error rates over ``Study.rows``; those without counts are missing.

    Values are those of ``scores.json``, which for averaged folds are not those of all utterances.
    """
    results = reading.results
    counted = count_by(reading, metric, speaker_names(reading, results.names))
    found = {}
    for name, one in scatter(counted).items():
        values = [_mean_rate(results, metric, name, c) for c in results.names]
        one = replace(one, value=np.array([np.nan if v is None else v for v in values]))
        found[name] = one
    return found


def count_by(
    reading: Reading, metric: Metric, names: Mapping[str, Sequence[str]]
) -> dict[str, Counted]:
    """Errors of every system by condition and speaker.

    Args:
        names: condition -> what is drawn for each utterance; see ``speaker_names``.
    """
    index = {name: n for n, name in enumerate(sorted({n for row in names.values() for n in row}))}
    places = {c: np.array([index[n] for n in row]) for c, row in names.items()}
    conditions = reading.results.names
    counted = {}
    for system in reading.results.systems:
        runs = [run for run in reading.of(system.name) if run.counts]
        if len(runs) < len(system.runs):
            continue
        units = [_units(reading, run, metric, places, len(index)) for run in runs]
        errors = [_errors(run, metric, conditions, places, len(index)) for run in runs]
        counted[system.name] = Counted(np.array(units), np.array(errors))
    return counted


def _units(
    reading: Reading, run: Run, metric: Metric, places: Mapping[str, np.ndarray], size: int
) -> np.ndarray:
    rows = np.zeros((len(reading.results.names), size))
    for n, condition in enumerate(reading.results.names):
        table = run.counts.get(condition) or reading.table(condition)
        if table is not None:
            tokens = (table.chars if metric == CER else table.words)[:, 0]
            rows[n] = np.bincount(places[condition], tokens, size)
    return rows


def _errors(
    run: Run, metric: Metric, conditions: Sequence[str], places: Mapping[str, np.ndarray], size: int
) -> np.ndarray:
    rows = np.full((len(conditions), size), np.nan)
    for n, condition in enumerate(conditions):
        if condition in run.counts:
            table = run.counts[condition]
            errors = (table.chars if metric == CER else table.words)[:, 1:].sum(1)
            rows[n] = np.bincount(places[condition], errors, size)
    return rows


def _mean_rate(results: Results, metric: Metric, system: str, condition: str) -> float | None:
    """Errors in per cent, mean over seeds."""
    spread = Spread.of(results.system(system).at(condition, metric))
    return None if spread is None else metric.value(spread.mean)  # its own inverse


def _with_mean(found: Scatter, results: Results, of: Estimates, of_mean: Estimates | None) -> dict:
    """Row -> (value, low, high, p)."""
    rows = {}
    for n, name in enumerate(results.names):
        rows[name] = tuple(float(x[n]) for x in (of.value, of.low, of.high, of.p))
    if of_mean is not None:
        rows[MEAN] = tuple(
            float(x[0]) for x in (of_mean.value, of_mean.low, of_mean.high, of_mean.p)
        )
    return rows


def _distorted(results: Results) -> list[int]:
    return [n for n, name in enumerate(results.names) if name != CLEAN]


def _rates(
    results: Results, metric: Metric, system: str, found: Scatter | None
) -> dict[str, Estimate]:
    estimated: dict[str, tuple] = {}
    if found is not None:
        at = _distorted(results)
        mean = estimate(found.average(at)) if at else None
        estimated = _with_mean(found, results, estimate(found), mean)
    rates = {}
    sets = {name: [name] for name in results.names} | {MEAN: results.distorted}
    for name, members in sets.items():
        spread = Spread.of(results.system(system).averaged(members, metric))
        if spread is None:
            continue
        low = high = None
        if name in estimated:
            _, low, high, _ = estimated[name]
            low, high = ends(metric.value(low), metric.value(high), metric)
        rates[name] = Estimate(spread.mean, low, high, spread.std)
    return rates


def _changes(
    results: Results, metric: Metric, system: str, baseline: str, pair: tuple | None
) -> dict[str, Estimate]:
    estimated: dict[str, tuple] = {}
    if pair is not None:
        one, base = pair
        at = _distorted(results)
        mean = difference(one.average(at), base.average(at)) if at else None
        by_condition = difference(one, base)
        by_condition = replace(by_condition, p=holm(by_condition.p))
        estimated = _with_mean(one, results, by_condition, mean)
    changes = {}
    sets = {name: [name] for name in results.names} | {MEAN: results.distorted}
    for name, members in sets.items():
        mine, its = (
            Spread.of(results.system(s).averaged(members, metric)) for s in (system, baseline)
        )
        if mine is None or its is None:
            continue
        low = high = p = None
        if name in estimated:
            _, low, high, p = estimated[name]
            low, high = ends(metric.difference(low), metric.difference(high), None)
            p = None if p is None or np.isnan(p) else p
        changes[name] = Estimate(mine.mean - its.mean, low, high, p=p)
    return changes


def ends(a: float, b: float, metric: Metric | None) -> tuple[float | None, float | None]:
    """Of an interval: in order, within what an accuracy can be; (None, None) where unknown."""
    if np.isnan(a) or np.isnan(b):
        return None, None
    low, high = sorted((a, b))
    if metric is not None and metric.higher_is_better:
        low, high = max(low, 0.0), min(high, 100.0)
    return low, high
