"""The page's tables and curves, by place of condition and system."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from espnet_robust.data.conditions import CLEAN
from espnet_robust.score.figures import Series, series
from espnet_robust.score.results import Results, System
from espnet_robust.score.study import MEAN, Estimate, Study
from espnet_robust.score.tables import edits, figures_table, rates_table, systems_table


def figures(studies: Sequence[Study]) -> dict[str, Any]:
    """JSON-able figures.

    Args:
        studies: one for each metric; the first is WER or accuracy.
    """
    lead = studies[0]
    results = lead.results
    return {
        "baseline": lead.baseline,
        "systems": [
            {"name": s.name, "seeds": [run.seed for run in s.runs]} for s in results.systems
        ],
        "conditions": [
            {
                "name": c.name,
                "meaning": c.meaning,
                "utterances": c.utterances,
                "speakers": lead.speakers[c.name],
            }
            for c in results.conditions
        ],
        "metrics": [_metric(study) for study in studies],
        "curves": [_curve(results, one) for one in series(results)],
        "tables": [dataclasses.asdict(table(lead)) for table in (systems_table, figures_table)],
        "notes": [note for note in rates_table(lead).notes if note],
        "problems": list(lead.reading.problems),
    }


def _metric(study: Study) -> dict[str, Any]:
    """One metric. A cell is [value, low, high, mark], or null where nothing was measured.

    Low and high are null where there is no interval. The mark is 1 where a system is better than
    the baseline, -1 where it is worse, 0 where neither is significant.
    """
    results, metric = study.results, study.metric
    return {
        "name": metric.name,
        "title": metric.title,
        "higher": metric.higher_is_better,
        "cells": [_row(study, name) for name in results.names],
        "distorted": _row(study, MEAN) if MEAN in study.rows else [],
        "edits": [[_edits(s, name, study) for s in results.systems] for name in results.names],
    }


def _row(study: Study, row: str) -> list[list[Any] | None]:
    return [
        _cell(study, study.rates[s.name].get(row), study.changes.get(s.name, {}).get(row))
        for s in study.results.systems
    ]


def _cell(study: Study, rate: Estimate | None, change: Estimate | None) -> list[Any] | None:
    if rate is None:
        return None
    mark = 0
    if change is not None and change.significant:
        mark = 1 if (change.value > 0) == study.metric.higher_is_better else -1
    return [*(None if x is None else round(x, 3) for x in (rate.value, rate.low, rate.high)), mark]


def _edits(system: System, condition: str, study: Study) -> list[float] | None:
    """As in the tables; None where they have nothing."""
    return [round(x, 3) for x in edits(system, condition, study.metric)] or None


def _curve(results: Results, one: Series) -> dict[str, Any]:
    """Points are [place of the condition, number]; clean speech comes first, with no number."""
    place = {name: number for number, name in enumerate(results.names)}
    points: list[tuple[int, float | None]] = [(place[CLEAN], None)] if CLEAN in place else []
    points += [(place[name], number) for name, number in one.points.items()]
    return {"name": one.name, "axis": one.axis, "points": points}
