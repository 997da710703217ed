"""Tables of results in Markdown, and in long form as CSV."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence

from espnet_robust.score.metrics import Metric
from espnet_robust.score.results import Results, Spread, System
from espnet_robust.score.schema import Scores

NOTHING = "-"


def table(results: Results, metric: Metric, baseline: str = "") -> str:
    """A Markdown section: systems x conditions, cost, mean over the distorted conditions.

    With a baseline, a column shows how that mean changes: in points for an accuracy, relative for
    an error rate.
    """
    columns: dict[str, Callable[[System], str]] = {"system": lambda s: s.name}
    notes = []
    if any(len(s.runs) > 1 for s in results.systems):
        columns["seeds"] = lambda s: str(len(s.runs))
        notes.append("Mean over seeds ± standard deviation over seeds.")
    columns["params"] = lambda s: _params(s.runs[0].params)
    columns["RTF"] = lambda s: _significant(Spread.of(run.rtf for run in s.runs))
    if measured_on := sorted({_measured_on(r) for s in results.systems for r in s.runs if r.rtf}):
        notes.append(f"`RTF`: time to decode over duration, on {' or '.join(measured_on)}.")
    if results.distorted:
        columns["mean distorted"] = lambda s: _cell(s.averaged(results.distorted, metric))
        notes.append("`mean distorted`: all conditions but `clean`, each counting the same.")
    if baseline and (reference := _mean_distorted(results.system(baseline), results, metric)):
        columns[f"against {baseline}"] = lambda s: change(
            _mean_distorted(s, results, metric), reference, metric
        )
        what = "difference in points" if metric.higher_is_better else "relative change"
        notes.append(f"`against {baseline}`: its {what}.")
    rows = [
        [cell(s) for cell in columns.values()]
        + [_cell(s.at(condition, metric)) for condition in results.names]
        for s in results.systems
    ]
    text = markdown_table([*columns, *results.names], rows)
    return f"## {metric.title}\n\n{text}\n{' '.join(notes)}\n"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with its first column aligned left and the others right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "".join(f"| {' | '.join(row)} |\n" for row in [header, rule, *rows])


def to_csv(results: Results, metric: Metric) -> str:
    """One line for each system, seed and condition; unknown values are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    costs = ("params", "rtf", "device")
    writer.writerow(["system", "seed", "condition", "snr_db", *metric.columns, *costs])
    for run in (run for system in results.systems for run in system.runs):
        for name in results.names:
            if score := run.condition(name):
                values = [getattr(score, column) for column in metric.columns]
                values = [f"{x:.2f}" if isinstance(x, float) else x for x in values]
                row = [run.system, run.seed, name, _plain(score.snr_db), *values]
                writer.writerow([*row, run.params, _plain(run.rtf), run.device])
    return text.getvalue()


def _mean_distorted(system: System, results: Results, metric: Metric) -> Spread | None:
    return Spread.of(system.averaged(results.distorted, metric))


def _cell(values: Sequence[float | None]) -> str:
    spread = Spread.of(values)
    return NOTHING if spread is None else str(spread)


def _params(params: int | None) -> str:
    return NOTHING if params is None else f"{params / 1e6:.2f} M"


def _significant(spread: Spread | None) -> str:
    return NOTHING if spread is None else f"{spread.mean:.2g}"


def _measured_on(run: Scores) -> str:
    if run.device not in (None, "cpu"):
        return str(run.device)
    if run.threads is None:
        return "a CPU"
    return f"{run.threads} CPU thread{'' if run.threads == 1 else 's'}"


def change(value: Spread | None, reference: Spread, metric: Metric) -> str:
    """In points for an accuracy, relative for an error rate."""
    if value is None:
        return NOTHING
    points = value.mean - reference.mean
    if metric.higher_is_better:
        return f"{points:+.1f}"
    return NOTHING if reference.mean == 0 else f"{100 * points / reference.mean:+.0f} %"


def _plain(x: float | None) -> str:
    return "" if x is None else f"{x:.6g}"
