"""Tables as Markdown and LaTeX, and all figures as CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from espnet_robust.score.schema import ConditionScore
from espnet_robust.score.study import MEAN, Study
from espnet_robust.score.tables import MINUS, Table


def markdown(table: Table) -> str:
    """A section of Markdown."""
    title = f"## {md(table.title)}\n\n" if table.title else ""
    notes = "\n" + md(" ".join(table.notes)) + "\n" if table.notes else ""
    cells = [[md(cell) for cell in row] for row in [table.header, *table.rows]]
    return f"{title}{markdown_table(cells[0], cells[1:])}{notes}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with its first column aligned left and the others right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "".join(f"| {' | '.join(row)} |\n" for row in [header, rule, *rows])


def md(text: str) -> str:
    """Text that Markdown shows as it is: no cell ends early, no HTML begins."""
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|")):
        text = text.replace(char, entity)
    return text


_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    MINUS: "$-$", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip


def latex(table: Table) -> str:
    """A ``tabular`` in ``booktabs`` style, with its title and notes as comments."""
    lines = [f"% {line}" for line in (table.title, *table.notes) if line]
    lines += [rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}", r"\toprule"]
    lines += [_tex_row(table.header), r"\midrule"]
    for row in table.rows:
        if row[0] == MEAN:
            lines.append(r"\midrule")
        lines.append(_tex_row(row))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _tex_row(cells: Sequence[str]) -> str:
    shown = ("".join(_TEX.get(char, char) for char in cell) for cell in cells)
    # A cell that begins with [ would be read as the length of the line break before it.
    return " & ".join(f"{{}}{cell}" if cell.startswith("[") else cell for cell in shown) + r" \\"


def to_csv(studies: Sequence[Study]) -> str:
    """One line for each system, seed and condition; unknown values are empty.

    The interval and the comparison are those of the system, over all of its seeds.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    results = studies[0].results
    edits = ("words", "sub", "ins", "del") if studies[0].metric.field == "wer" else ()
    columns = [
        column
        for s in studies
        for column in (s.metric.field, *(f"{s.metric.field}_{c}" for c in _INTERVAL))
    ]
    costs = ("params", "speech_model_params", "macs", "rtf", "device")
    facts = ("snr_db", "rt60", "utterances", "speakers", "missing")
    writer.writerow(["system", "seed", "condition", *facts, *edits, *columns, *costs, "commit"])
    for run in studies[0].reading.runs:
        for name in results.names:
            if score := run.scores.condition(name):
                row: list = [run.scores.system, run.scores.seed, name]
                row += [_plain(getattr(score, fact)) for fact in facts]
                row += [_plain(value) for value in _words(score)] if edits else []
                row += [cell for s in studies for cell in _csv_cells(s, run.scores.system, score)]
                row += [_plain(getattr(run.scores, cost)) for cost in costs]
                writer.writerow([*row, run.commit])
    return text.getvalue()


_INTERVAL = ("low", "high", "difference", "p")


def _csv_cells(study: Study, system: str, score: ConditionScore) -> list[str]:
    rate = study.rates[system].get(score.name)
    change = study.changes.get(system, {}).get(score.name)
    values = [getattr(score, study.metric.field)]
    values += [rate.low, rate.high] if rate else [None, None]
    values.append(change.value if change else None)
    p = "" if change is None or change.p is None else f"{change.p:.2g}"
    return [*("" if value is None else f"{value:.2f}" for value in values), p]


def _words(score: ConditionScore) -> list[int | None]:
    errors: Mapping[str, int] = score.errors or {}
    return [score.words, *(errors.get(kind) for kind in ("sub", "ins", "del"))]


def _plain(x: float | str | None) -> str:
    return "" if x is None else f"{x:.6g}" if isinstance(x, float) else str(x)
