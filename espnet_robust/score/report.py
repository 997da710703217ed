"""Tables and a plot from the scores of several systems.

``wer.md``: one row a system, one column a condition; ``wer.png``: the same to look at; ``wer.csv``:
long form, one line for each system, seed and condition. Of a classification task ``accuracy.md``,
``accuracy.png`` and ``accuracy.csv``.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from espnet_robust.data.conditions import CLEAN
from espnet_robust.errors import UserError
from espnet_robust.files import write_atomic
from espnet_robust.score.plot import draw
from espnet_robust.score.results import Results, Spread, System, gather
from espnet_robust.score.schema import Scores, read_counts, read_scores
from espnet_robust.score.significance import UtteranceErrors, collect, compare, mean_wer

# What wer.csv and accuracy.csv say of a condition.
CSV_COLUMNS = {"wer": ("words", "wer", "cer"), "accuracy": ("utterances", "accuracy")}
NOTHING = "-"


def write_report(
    out: str | Path, paths: Sequence[str | Path], *, baseline: str = "", order: Sequence[str] = ()
) -> Results:
    """Read ``scores.json`` files, write ``wer.md``, ``wer.csv`` and ``wer.png`` into ``out``.

    Where no system has a WER, ``accuracy.md``, ``accuracy.csv`` and ``accuracy.png``.

    Args:
        out: directory, made if need be.
        paths: ``scores.json`` files; a ``counts.tsv`` beside each gives confidence intervals.
        baseline: name of the system the others are compared with.
        order: as of ``gather``.

    Raises:
        UserError: as of ``read_scores`` and ``gather``, or an unknown baseline.
    """
    read = [(Path(path), read_scores(path)) for path in paths]
    results = gather((scores for _, scores in read), order)
    if baseline:
        results.system(baseline)
    directories = {(s.system, s.seed): path.parent for path, s in read}
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tables = [table(results, metric, baseline) for metric in METRICS if results.measured(metric)]
    main = "wer" if results.measured("wer") else "accuracy"
    if results.measured(main):
        tables.append(confidence_table(results, main, baseline, directories))
        draw(out / f"{main}.png", results, main, METRICS[main])
    write_atomic(out / f"{main}.md", "\n".join(tables))
    write_atomic(out / f"{main}.csv", to_csv(results, main))
    return results


# --- tables --------------------------------------------------------------------------------------

METRICS = {
    "wer": "Word error rate, %",
    "cer": "Character error rate (with spaces), %",
    "accuracy": "Accuracy, %",
}


def table(results: Results, metric: str, baseline: str = "") -> str:
    """A Markdown section: systems x conditions, cost, mean over the distorted conditions.

    With a baseline, a column has the change of that mean: relative, of an accuracy in points.
    """
    reference = None
    if baseline:
        reference = Spread.of(results.system(baseline).averaged(results.distorted, metric))
    columns: dict[str, Callable[[System], str]] = {"system": lambda s: s.name}
    if any(len(s.runs) > 1 for s in results.systems):
        columns["seeds"] = lambda s: str(len(s.runs))
    columns["params"] = lambda s: _params(s.runs[0].params)
    columns["RTF"] = lambda s: _significant(Spread.of(run.rtf for run in s.runs))
    if results.distorted:
        columns["mean distorted"] = lambda s: _cell(s.averaged(results.distorted, metric))
    if reference:
        change = _points if metric == "accuracy" else _change
        columns[f"against {baseline}"] = lambda s: change(
            Spread.of(s.averaged(results.distorted, metric)), reference
        )
    for name in results.names:
        columns[name] = lambda s, name=name: _cell(s.at(name, metric))
    notes = []
    if "seeds" in columns:
        notes.append("Mean over seeds ± standard deviation over seeds.")
    if measured_on := sorted({_measured_on(r) for s in results.systems for r in s.runs if r.rtf}):
        notes.append(f"`RTF`: time to decode over duration, on {' or '.join(measured_on)}.")
    if "mean distorted" in columns:
        notes.append("`mean distorted`: all conditions but `clean`, each counting the same.")
    if reference:
        what = "difference in points" if metric == "accuracy" else "relative change"
        notes.append(f"`against {baseline}`: its {what}.")
    rows = [[cell(s) for cell in columns.values()] for s in results.systems]
    return f"## {METRICS[metric]}\n\n{markdown_table(list(columns), rows)}\n{' '.join(notes)}\n"


def confidence_table(
    results: Results, metric: str, baseline: str, directories: Mapping[tuple[str, int], Path]
) -> str:
    """A Markdown section: the rate and its difference from the baseline, 95 % intervals.

    Args:
        metric: ``wer`` or ``accuracy``.
        baseline: name of a system, or empty for no differences.
        directories: (system, seed) -> directory with its ``counts.tsv``. Systems without one, or
            tested on other utterances, are left out with the reason.
    """
    sets = {CLEAN: [CLEAN] if CLEAN in results.names else [], "distorted": results.distorted}
    sets = {title: names for title, names in sets.items() if names}
    compared = [s for s in results.systems if s.name == baseline]
    compared += [s for s in results.systems if s.name != baseline]
    base: dict[str, UtteranceErrors] = {}
    rows, problems = {}, []
    for system in compared:
        try:
            paths = [directories[system.name, run.seed] / "counts.tsv" for run in system.runs]
            runs = [read_counts(path) for path in paths]
            errors = {title: collect(runs, names) for title, names in sets.items()}
            if system.name == baseline:
                base = errors
            rows[system.name] = [
                cell
                for title in sets
                for cell in _confidence(
                    metric, errors[title], base.get(title), system.name == baseline
                )
            ]
        except UserError as e:
            problems.append(f"{system.name}: {e}")
    name = "WER" if metric == "wer" else metric
    header = ["system"]
    for title in sets:
        header.append(f"{title}, {name}")
        if base:
            header += [f"{title}, difference", "better"]
    text = "## Confidence\n\n"
    if rows:
        ordered = [[s.name, *rows[s.name]] for s in results.systems if s.name in rows]
        text += f"{markdown_table(header, ordered)}\n"
        text += "95 % intervals by bootstrap over utterances, errors averaged over seeds."
        if base:
            rank = "lower" if metric == "wer" else "higher"
            text += (
                f" `difference`: points of {name} against {baseline}, paired. `better`: share of "
                f"the draws in which the system has the {rank} {name}."
            )
        text += "\n"
    if problems:
        text += "\nLeft out: " + "; ".join(problems) + "\n"
    return text


def _confidence(
    metric: str, errors: UtteranceErrors, base: UtteranceErrors | None, is_base: bool
) -> list[str]:
    rate = mean_wer(errors)
    if metric == "accuracy":
        rate = rate.subtracted_from(100)
    cells = [f"{rate.value:.1f} [{rate.low:.1f}, {rate.high:.1f}]"]
    if is_base:
        cells += [NOTHING, NOTHING]
    elif base is not None:
        difference = compare(errors, base)
        d = difference.wer if metric == "wer" else difference.wer.subtracted_from(0)
        cells += [
            f"{d.value:+.1f} [{d.low:+.1f}, {d.high:+.1f}]",
            f"{100 * difference.better:.1f} %",
        ]
    return cells


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """First column to the left, the others to the right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "".join(f"| {' | '.join(row)} |\n" for row in [header, rule, *rows])


def _cell(values: Sequence[float | None]) -> str:
    spread = Spread.of(values)
    return NOTHING if spread is None else str(spread)


def _params(params: int | None) -> str:
    return NOTHING if params is None else f"{params / 1e6:.2f} M"


def _significant(spread: Spread | None) -> str:
    return NOTHING if spread is None else f"{spread.mean:.2g}"


def _measured_on(run: Scores) -> str:
    if run.device not in (None, "cpu"):
        return run.device
    if run.threads is None:
        return "a CPU"
    return f"{run.threads} CPU thread{'' if run.threads == 1 else 's'}"


def _change(value: Spread | None, reference: Spread) -> str:
    if value is None or reference.mean == 0:
        return NOTHING
    return f"{100 * (value.mean - reference.mean) / reference.mean:+.0f} %"


def _points(value: Spread | None, reference: Spread) -> str:
    return NOTHING if value is None else f"{value.mean - reference.mean:+.1f}"


def to_csv(results: Results, metric: str) -> str:
    """Long form, with the columns of a metric in ``CSV_COLUMNS``; unknown values are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = CSV_COLUMNS[metric]
    writer.writerow(["system", "seed", "condition", "snr_db", *columns, "params", "rtf", "device"])
    for system in results.systems:
        for run in system.runs:
            for name in results.names:
                score = run.condition(name)
                if score is None:
                    continue
                values = [getattr(score, column) for column in columns]
                values = [f"{x:.2f}" if isinstance(x, float) else x for x in values]
                snr_db, rtf = _plain(score.snr_db), _plain(run.rtf)
                costs = (run.params, rtf, run.device)
                writer.writerow([run.system, run.seed, name, snr_db, *values, *costs])
    return text.getvalue()


def _plain(x: float | None) -> str:
    return "" if x is None else f"{x:.6g}"
