"""A report from the scores of several systems.

``wer.md`` and ``wer.tex`` hold the tables, conditions down and systems across, ``wer.csv`` a line
for each system, seed and condition, ``wer.png`` and ``wer.svg`` the curves, ``cost.png`` and
``cost.svg`` the rate against size, work and time. For a classification task the files are
``accuracy.md`` and so on. ``summary.txt`` is what a terminal shows.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import write_atomic
from espnet_robust.common.shown_command import shown_command
from espnet_robust.score.figures import by_group, speaker_groups
from espnet_robust.score.formats import latex, markdown, md, to_csv
from espnet_robust.score.metrics import ACCURACY, METRICS, WER, Metric
from espnet_robust.score.plot import draw, draw_cost
from espnet_robust.score.reading import Reading, read_runs
from espnet_robust.score.study import Study, study
from espnet_robust.score.summary import summary
from espnet_robust.score.tables import Table, conditions_table, systems_table, tables

SUMMARY = "summary.txt"
_TEX = "% Tables of a report; they need \\usepackage{booktabs}.\n"


def write_report(
    out: str | Path,
    paths: Sequence[str | Path],
    *,
    baseline: str = "",
    order: Sequence[str] = (),
    names: Mapping[Path, str] = MappingProxyType({}),
    command: str = "",
    groups: Path | None = None,
) -> list[Study]:
    """Read ``scores.json`` files and write the report into ``out``.

    Args:
        out: directory; created if necessary.
        paths: ``scores.json`` files; a ``counts.tsv`` beside each gives confidence intervals.
        baseline: name of the system with which the others are compared.
        order: see ``gather``.
        names: names for the systems of files, if different from those in the files.
        command: the command that was run, for the record.
        groups: table speaker -> group; default: ``spk2gender`` of the test sets, if there.

    Returns:
        The studies written, one per metric; the first is WER or accuracy.

    Raises:
        UserError: the baseline is unknown, or as for ``read_runs``.
    """
    reading = read_runs(paths, order, names)
    studies = [study(reading, m, baseline) for m in METRICS if reading.results.measured(m)]
    if not studies:
        raise UserError(f"{paths[0]}: no error rate and no accuracy in it; score the system again")
    # A task has words or labels; where a report has both, the words lead.
    lead = next((s for m in (WER, ACCURACY) for s in studies if s.metric == m), studies[0])
    studies = [lead, *(s for s in studies if s is not lead)]
    shown = _tables(studies, groups)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    _remove_others(out, lead.metric)
    name = lead.metric.field
    about = _about(reading, command)
    write_atomic(tables_file(out, studies), "\n".join([*map(markdown, shown), about]))
    write_atomic(out / f"{name}.tex", _tex(shown, about))
    write_atomic(out / f"{name}.csv", to_csv(studies))
    draw(out / name, lead)
    if not draw_cost(out / "cost", lead):
        for old in (out / "cost.png", out / "cost.svg"):
            old.unlink(missing_ok=True)
    write_atomic(out / SUMMARY, summary(lead))
    return studies


def tables_file(out: Path, studies: Sequence[Study]) -> Path:
    """The Markdown that ``write_report`` wrote into ``out``."""
    return out / f"{studies[0].metric.field}.md"


def _remove_others(out: Path, lead: Metric) -> None:
    """Remove the report of another task, which is not of the runs that are shown now."""
    for metric in METRICS:
        tex = out / f"{metric.field}.tex"
        if metric != lead and tex.is_file() and tex.read_bytes().startswith(_TEX.encode()):
            for kind in ("md", "csv", "png", "svg", "tex"):
                tex.with_suffix(f".{kind}").unlink(missing_ok=True)


def _tables(studies: Sequence[Study], groups: Path | None) -> list[Table]:
    """All tables: of every metric, then of systems and conditions."""
    lead = studies[0]
    group_of = speaker_groups(lead.reading, groups)
    grouped = by_group(lead, group_of) if group_of else None
    shown = [*tables(lead, grouped), *(t for s in studies[1:] for t in tables(s))]
    return [*shown, systems_table(lead), conditions_table(lead)]


def _about(reading: Reading, command: str) -> str:
    """Warnings for the reader, and the command."""
    lines = [f"- {md(problem)}" for problem in reading.problems]
    text = "## To know\n\n" + "\n".join(lines) + "\n" if lines else ""
    if command:
        text += f"{chr(10) if text else ''}    {shown_command(command, Path())}\n"
    return text


def _tex(shown: Sequence[Table], about: str) -> str:
    comments = "".join(f"% {line}\n" for line in about.splitlines() if line.strip())
    return _TEX + comments + "\n" + "\n".join(map(latex, shown))
