"""Figures that sum a system up: degradation, the SNR at which errors double, groups of speakers."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet_robust.common.errors import UserError
from espnet_robust.data.conditions import CLEAN
from espnet_robust.data.data_dir import iter_table
from espnet_robust.score.metrics import Metric
from espnet_robust.score.reading import Reading
from espnet_robust.score.results import Results, stem
from espnet_robust.score.schema import ConditionScore
from espnet_robust.score.significance import Estimates, estimate, scatter
from espnet_robust.score.study import MEAN, Study, count_by, ends

GROUPS = "spk2gender"  # Kaldi's table of speakers in groups, where a test set has one


@dataclass(frozen=True)
class Series:
    """Conditions that differ only in one number.

    Args:
        name: the common part of their names.
        axis: label of the axis for that number.
        points: condition -> number, from the easiest to the hardest.
    """

    name: str
    axis: str
    points: Mapping[str, float]


def series(results: Results) -> list[Series]:
    """Conditions by decreasing SNR and by increasing RT60; a single one is not a series.

    ``noise_in_snr20``, ``noise_in_snr5`` are the series ``noise_in``; ``room_rt60_0.3``,
    ``room_rt60_0.6``, in rooms whose reverberation time is known, the series ``room``.
    """
    by_snr: dict[str, dict[str, float]] = {}
    by_rt60: dict[str, dict[str, float]] = {}
    for c in results.conditions:
        if c.snr_db is not None:
            by_snr.setdefault(stem(c), {})[c.name] = c.snr_db
        elif c.rt60 is not None and room_stem(c) != c.name:
            by_rt60.setdefault(room_stem(c), {})[c.name] = c.rt60
    found = [Series(name, "SNR, dB", _ordered(p, -1)) for name, p in by_snr.items()]
    found += [Series(name, "RT60, s", _ordered(p, 1)) for name, p in by_rt60.items()]
    return [one for one in found if len(set(one.points.values())) > 1]


def room_stem(condition: ConditionScore) -> str:
    """
    >>> room_stem(ConditionScore("room_rt60_0.3", 1, rt60=0.28))
    'room'
    """
    return re.sub(r"_?rt60_?[\d.]+s?$", "", condition.name, flags=re.IGNORECASE)


def _ordered(points: Mapping[str, float], sign: int) -> dict[str, float]:
    return dict(sorted(points.items(), key=lambda item: sign * item[1]))


def degradation(study: Study, system: str) -> tuple[float, float | None] | None:
    """How much worse the mean distorted condition is than clean speech.

    Returns:
        (points of the metric, errors as a multiple of those on clean speech); the second is None if
        there are none on clean speech. None if one of the two was not measured.
    """
    rates = study.rates[system]
    if CLEAN not in rates or MEAN not in rates:
        return None
    clean, distorted = (study.metric.value(rates[row].value) for row in (CLEAN, MEAN))
    return study.metric.difference(distorted - clean), distorted / clean if clean else None


def doubling_snr(study: Study, system: str, over: Series) -> str | None:
    """The SNR in dB at which a system makes twice the errors that it makes on clean speech.

    The error rate is interpolated linearly between two SNRs. ``> 20`` or ``< 0`` if the result is
    beyond the ends of the series; None if a rate is missing or there are no errors on clean speech.
    """
    rates = study.rates[system]
    if CLEAN not in rates or any(name not in rates for name in over.points):
        return None
    twice = 2 * study.metric.value(rates[CLEAN].value)
    if not twice:
        return None
    curve = [(snr, study.metric.value(rates[name].value)) for name, snr in over.points.items()]
    if curve[0][1] > twice:
        return f"> {curve[0][0]:g}"
    for (easy, low), (hard, high) in itertools.pairwise(curve):
        if high > twice:
            return f"{easy + (twice - low) / (high - low) * (hard - easy):.1f}"
    return f"< {curve[-1][0]:g}"


@dataclass(frozen=True)
class GroupRates:
    """Rates by group of speakers.

    Args:
        groups: name -> number of speakers.
        rates: (system, group) -> (clean, mean distorted), each with interval; NaN if unknown.
    """

    groups: Mapping[str, int]
    rates: Mapping[tuple[str, str], tuple[Estimates, Estimates]]


def speaker_groups(reading: Reading, table: Path | None) -> dict[str, str]:
    """Speaker -> group, from a table or else from ``spk2gender`` of the test sets; {} without both.

    Raises:
        UserError: the table is missing, or has none of the speakers in the test sets.
    """
    present = {s for run in reading.runs for t in run.counts.values() for s in t.speakers}
    if table is not None:
        found = dict(iter_table(table))
        if not present & set(found):
            raise UserError(f"{table}: none of its speakers is in the test sets")
        return {speaker: group for speaker, group in found.items() if speaker in present}
    for run in reading.runs:
        for condition in run.scores.conditions:
            path = run.find(f"{condition.data_dir}/{GROUPS}") if condition.data_dir else None
            if path is not None:
                known = dict(iter_table(path))
                return {s: known[s] for s in sorted(present & set(known))}
    return {}


def by_group(study: Study, group_of: Mapping[str, str]) -> GroupRates | None:
    """Rates on clean and on distorted speech for each group of speakers; None for one group."""
    sizes = {g: sum(o == g for o in group_of.values()) for g in sorted(set(group_of.values()))}
    if len(sizes) < 2:
        return None
    found: dict[tuple[str, str], tuple[Estimates, Estimates]] = {}
    names = study.results.names
    clean = [n for n, name in enumerate(names) if name == CLEAN]
    distorted = [n for n, name in enumerate(names) if name != CLEAN]
    for group in sizes:
        for system, one in scatter(_of_group(study, group_of, group)).items():
            found[system, group] = tuple(
                estimate(one.average(at)) if at else _unknown() for at in (clean, distorted)
            )  # type: ignore[assignment]  # two of them
    return GroupRates(sizes, found)


def _of_group(study: Study, group_of: Mapping[str, str], group: str) -> dict:
    """Errors of every system on the speakers of a group; all others are one more, without any."""
    names = {}
    for condition in study.results.names:
        table = study.reading.table(condition)
        if table is not None:
            names[condition] = table.speakers
    counted = count_by(study.reading, study.metric, names)
    index = sorted({s for row in names.values() for s in row})
    inside = np.array([group_of.get(speaker) == group for speaker in index])
    kept = {}
    for system, one in counted.items():
        kept[system] = type(one)(one.units[..., inside], one.errors[:, :, inside])
    return kept


def _unknown() -> Estimates:
    nan = np.full(1, np.nan)
    return Estimates(nan, nan, nan, nan)


def shown_group(metric: Metric, rate: Estimates) -> str:
    """``30.1 [27.0, 33.4]``, or ``-``."""
    if np.isnan(rate.value[0]):
        return "-"
    value = metric.value(float(rate.value[0]))
    low, high = ends(metric.value(float(rate.low[0])), metric.value(float(rate.high[0])), metric)
    return f"{value:.1f}" + ("" if low is None else f" [{low:.1f}, {high:.1f}]")
