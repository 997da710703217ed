"""The page's table and curves: rates with intervals, marks, and edits, by condition and system."""

from collections.abc import Mapping, Sequence
from typing import Any

from espnet_robust.common.errors import UserError
from espnet_robust.data.conditions import CLEAN
from espnet_robust.score.metrics import METRICS, Metric
from espnet_robust.score.plot import series
from espnet_robust.score.results import Results, Spread, System
from espnet_robust.score.significance import Interval, collect, compare, error_rate

Counts = Mapping[str, Mapping[str, tuple[int, int]]]  # condition -> utterance -> (words, errors)


def figures(
    results: Results, counts: Mapping[str, Sequence[Counts]], baseline: str
) -> dict[str, Any]:
    """JSON-able figures, by place of condition and system.

    Args:
        counts: system -> what ``read_counts`` says of each of its seeds; systems without them have
            no intervals.
        baseline: name of the system that marks compare with, or empty.
    """
    measured = [metric for metric in METRICS if results.measured(metric)]
    return {
        "baseline": baseline,
        "systems": [_system(system) for system in results.systems],
        "conditions": [
            {"name": c.name, "utterances": c.utterances, "words": c.words, "speakers": None}
            for c in results.conditions
        ],
        "metrics": [_metric(results, metric, counts, baseline) for metric in measured],
        "edits": [[_edits(s, name) for s in results.systems] for name in results.names],
        "curves": [
            {"name": name, "axis": "SNR, dB", "points": _points(results, members)}
            for name, members in series(results).items()
        ],
    }


def _points(results: Results, members: Sequence[str]) -> list[tuple[int, float | None]]:
    """Place and SNR of each condition of a series; before them, without an SNR, clean speech."""
    snr = {c.name: c.snr_db for c in results.conditions}
    clean = [(results.names.index(CLEAN), None)] if CLEAN in snr else []
    return [*clean, *((results.names.index(name), snr[name]) for name in members)]


def _system(system: System) -> dict[str, Any]:
    first = system.runs[0]
    return {
        "name": system.name,
        "seeds": [run.seed for run in system.runs],
        "params": first.params,
        "rtf": first.rtf,
    }


def _metric(
    results: Results, metric: Metric, counts: Mapping[str, Sequence[Counts]], baseline: str
) -> dict[str, Any]:
    """One of the page's tables. A cell is [value, low, high, mark], or null where not measured.

    Low and high are null where there is no interval; the mark is 1 where the system is better than
    the baseline and 0 is outside the interval of the difference, -1 where it is worse, else 0.
    """
    rows = [[name] for name in results.names]
    cells = [[_cell(s, names, metric, counts, baseline) for s in results.systems] for names in rows]
    distorted = [
        _cell(s, results.distorted, metric, counts, baseline) if results.distorted else None
        for s in results.systems
    ]
    return {
        "name": metric.name,
        "title": metric.title,
        "higher": metric.higher_is_better,
        "cells": cells,
        "distorted": distorted,
    }


def _cell(
    system: System,
    names: Sequence[str],
    metric: Metric,
    counts: Mapping[str, Sequence[Counts]],
    baseline: str,
) -> list[Any] | None:
    spread = Spread.of(system.averaged(names, metric))
    if spread is None:
        return None
    if metric.field == "cer":  # counts.tsv holds words
        return [spread.mean, None, None, 0]
    interval, mark = _interval(system.name, names, counts, baseline)
    shown = interval and interval.map(metric.value)
    return [spread.mean, shown and shown.low, shown and shown.high, mark]


def _interval(
    system: str, names: Sequence[str], counts: Mapping[str, Sequence[Counts]], baseline: str
) -> tuple[Interval | None, int]:
    """Of an error rate, and the mark; (None, 0) where counts are missing or do not fit."""
    try:
        errors = collect(counts.get(system, [{}]), names)
        interval = error_rate(errors)
        if not baseline or system == baseline or baseline not in counts:
            return interval, 0
        difference = compare(errors, collect(counts[baseline], names)).rate
    except UserError:
        return None, 0
    return interval, (1 if difference.high < 0 else -1 if difference.low > 0 else 0)


def _edits(system: System, condition: str) -> list[int] | None:
    """[sub, ins, del] of words, summed over seeds."""
    scores = [run.condition(condition) for run in system.runs]
    found = [s.errors for s in scores if s is not None and s.errors is not None]
    if len(found) < len(scores):
        return None
    return [sum(errors[kind] for errors in found) for kind in ("sub", "ins", "del")]
