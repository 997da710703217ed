"""Tables and a plot from the scores of several systems.

``wer.md``: one row a system, one column a condition; ``wer.png``: the same to look at; ``wer.csv``:
long form, one line for each system, seed and condition.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from espnet_robust.errors import UserError
from espnet_robust.files import write_atomic
from espnet_robust.score.plot import draw_wer
from espnet_robust.score.results import Results, Spread, System, gather
from espnet_robust.score.schema import CLEAN, read_counts, read_scores
from espnet_robust.score.significance import UtteranceErrors, collect, compare, mean_wer

CSV_HEADER = ("system", "seed", "condition", "snr_db", "words", "wer", "cer", "params", "rtf")
NOTHING = "-"


def write_report(
    out: str | Path, paths: Sequence[str | Path], *, baseline: str = "", order: Sequence[str] = ()
) -> Results:
    """Read ``scores.json`` files, write ``wer.md``, ``wer.csv`` and ``wer.png`` into ``out``.

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
    if results.measured("wer"):
        tables.append(confidence_table(results, baseline, directories))
    write_atomic(out / "wer.md", "\n".join(tables))
    write_atomic(out / "wer.csv", to_csv(results))
    if results.measured("wer"):
        draw_wer(out / "wer.png", results)
    return results


# --- tables --------------------------------------------------------------------------------------

METRICS = {
    "wer": "Word error rate, %",
    "cer": "Character error rate (with spaces), %",
    "accuracy": "Accuracy, %",
}


def table(results: Results, metric: str, baseline: str = "") -> str:
    """A Markdown section: systems x conditions, cost, mean over the distorted conditions.

    With a baseline, a column has the relative change of that mean.
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
        columns[f"against {baseline}"] = lambda s: _change(
            Spread.of(s.averaged(results.distorted, metric)), reference
        )
    for name in results.names:
        columns[name] = lambda s, name=name: _cell(s.at(name, metric))
    notes = []
    if "seeds" in columns:
        notes.append("Mean over seeds ± standard deviation over seeds.")
    if "mean distorted" in columns:
        notes.append("`mean distorted`: all conditions but `clean`, each counting the same.")
    if reference:
        notes.append(f"`against {baseline}`: its relative change.")
    rows = [[cell(s) for cell in columns.values()] for s in results.systems]
    return f"## {METRICS[metric]}\n\n{markdown_table(list(columns), rows)}\n{' '.join(notes)}\n"


def confidence_table(
    results: Results, baseline: str, directories: Mapping[tuple[str, int], Path]
) -> str:
    """A Markdown section: WER and difference from the baseline with 95 % confidence intervals.

    Args:
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
                for cell in _confidence(errors[title], base.get(title), system.name == baseline)
            ]
        except UserError as e:
            problems.append(f"{system.name}: {e}")
    header = ["system"]
    for title in sets:
        header.append(f"{title}, WER")
        if base:
            header += [f"{title}, difference", "better"]
    text = "## Confidence\n\n"
    if rows:
        ordered = [[s.name, *rows[s.name]] for s in results.systems if s.name in rows]
        text += f"{markdown_table(header, ordered)}\n"
        text += "95 % intervals by bootstrap over utterances, errors averaged over seeds."
        if base:
            text += (
                f" `difference`: points of WER against {baseline}, paired. `better`: share of the "
                "draws in which the system has the lower WER."
            )
        text += "\n"
    if problems:
        text += "\nLeft out: " + "; ".join(problems) + "\n"
    return text


def _confidence(errors: UtteranceErrors, base: UtteranceErrors | None, is_base: bool) -> list[str]:
    wer = mean_wer(errors)
    cells = [f"{wer.value:.1f} [{wer.low:.1f}, {wer.high:.1f}]"]
    if is_base:
        cells += [NOTHING, NOTHING]
    elif base is not None:
        d = compare(errors, base)
        cells += [
            f"{d.wer.value:+.1f} [{d.wer.low:+.1f}, {d.wer.high:+.1f}]",
            f"{100 * d.better:.1f} %",
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


def _change(value: Spread | None, reference: Spread) -> str:
    if value is None or reference.mean == 0:
        return NOTHING
    return f"{100 * (value.mean - reference.mean) / reference.mean:+.0f} %"


def to_csv(results: Results) -> str:
    """Long form with the header ``CSV_HEADER``; unknown values are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for system in results.systems:
        for run in system.runs:
            for name in results.names:
                score = run.condition(name)
                if score is None:
                    continue
                wer, cer = (None if x is None else f"{x:.2f}" for x in (score.wer, score.cer))
                snr_db, rtf = _plain(score.snr_db), _plain(run.rtf)
                writer.writerow(
                    [run.system, run.seed, name, snr_db, score.words, wer, cer, run.params, rtf]
                )
    return text.getvalue()


def _plain(x: float | None) -> str:
    return "" if x is None else f"{x:.6g}"
