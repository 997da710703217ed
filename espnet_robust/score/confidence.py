"""The section of a report that says how far its rates and differences can be trusted."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.data.conditions import CLEAN
from espnet_robust.score.metrics import Metric
from espnet_robust.score.results import Results, System
from espnet_robust.score.schema import read_counts
from espnet_robust.score.significance import UtteranceErrors, collect, compare, error_rate
from espnet_robust.score.tables import NOTHING, markdown_table


def confidence_table(
    results: Results, metric: Metric, baseline: str, directories: Mapping[tuple[str, int], Path]
) -> str:
    """A Markdown section: the metric and its difference from the baseline, with 95 % intervals.

    Args:
        baseline: name of a system, or empty for no differences.
        directories: (system, seed) -> directory with its ``counts.tsv``. A system that lacks one,
            or was tested on other utterances, is left out with the reason.
    """
    sets = {CLEAN: [CLEAN] if CLEAN in results.names else [], "distorted": results.distorted}
    sets = {title: names for title, names in sets.items() if names}
    base: dict[str, UtteranceErrors] = {}
    rows: dict[str, list[str]] = {}
    problems = []
    for system in sorted(results.systems, key=lambda s: s.name != baseline):  # the baseline first
        is_base = system.name == baseline
        try:
            errors = _read_errors(system, sets, directories)
            if is_base:
                base = errors
            rows[system.name] = [system.name]
            for title in sets:
                rows[system.name] += _cells(metric, errors[title], base.get(title), is_base)
        except UserError as e:
            rows.pop(system.name, None)
            problems.append(f"{system.name}: {e}")
    text = "## Confidence\n\n"
    if rows:
        ordered = [rows[s.name] for s in results.systems if s.name in rows]
        text += markdown_table(_header(metric, sets, bool(base)), ordered)
        text += f"\n{_note(metric, baseline if base else '')}\n"
    if problems:
        text += f"\nLeft out: {'; '.join(problems)}\n"
    return text


def distorted_differences(
    results: Results, metric: Metric, baseline: str, directories: Mapping[tuple[str, int], Path]
) -> dict[str, str]:
    """System -> how its mean over the distorted conditions differs from the baseline's, in points,
    with a 95 % interval; without those that cannot be compared (see ``confidence_table``)."""
    sets = {"distorted": results.distorted}
    found = {}
    try:
        base = _read_errors(results.system(baseline), sets, directories)["distorted"]
    except UserError:
        return {}
    for system in results.systems:
        with contextlib.suppress(UserError):
            errors = _read_errors(system, sets, directories)["distorted"]
            if system.name != baseline:
                d = compare(errors, base).rate.map(metric.difference)
                found[system.name] = f"{d.value:+.1f} [{d.low:+.1f}, {d.high:+.1f}]"
    return found


def _read_errors(
    system: System,
    sets: Mapping[str, Sequence[str]],
    directories: Mapping[tuple[str, int], Path],
) -> dict[str, UtteranceErrors]:
    """Title of a set of conditions -> the system's errors under them."""
    paths = [directories[system.name, run.seed] / "counts.tsv" for run in system.runs]
    runs = [read_counts(path) for path in paths]
    return {title: collect(runs, names) for title, names in sets.items()}


def _header(metric: Metric, titles: Mapping[str, Sequence[str]], differences: bool) -> list[str]:
    header = ["system"]
    for title in titles:
        header.append(f"{title}, {metric.name}")
        if differences:
            header += [f"{title}, difference", "better"]
    return header


def _cells(
    metric: Metric, errors: UtteranceErrors, base: UtteranceErrors | None, is_base: bool
) -> list[str]:
    shown = error_rate(errors).map(metric.value)
    cells = [f"{shown.value:.1f} [{shown.low:.1f}, {shown.high:.1f}]"]
    if is_base:
        cells += [NOTHING, NOTHING]
    elif base is not None:
        difference = compare(errors, base)
        d = difference.rate.map(metric.difference)
        cells += [
            f"{d.value:+.1f} [{d.low:+.1f}, {d.high:+.1f}]",
            f"{100 * difference.better:.1f} %",
        ]
    return cells


def _note(metric: Metric, baseline: str) -> str:
    note = "95 % intervals by bootstrap over utterances, errors averaged over seeds."
    if baseline:
        rank = "higher" if metric.higher_is_better else "lower"
        note += (
            f" `difference`: points of {metric.name} against {baseline}, paired."
            f" `better`: share of the draws in which the system has the {rank} {metric.name}."
        )
    return note
