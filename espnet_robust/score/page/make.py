"""The HTML page of a report."""

import datetime
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.made_of import commit
from espnet_robust.common.shown_command import shown_command
from espnet_robust.score.alignment import ALIGNMENTS
from espnet_robust.score.page.figures import figures
from espnet_robust.score.page.runs import read_run
from espnet_robust.score.page.utterances import blocks
from espnet_robust.score.page.write import PAGE, write_page
from espnet_robust.score.schema import Scores
from espnet_robust.score.study import Study


def make_page(
    out: str | Path, studies: Sequence[Study], *, title: str = "Report", command: str = ""
) -> Path:
    """Write ``index.html`` into ``out``.

    Args:
        out: directory of the page; paths of audio are relative to it.
        studies: what ``write_report`` returns.
        title: heading of the page.
        command: the command that was run.

    Returns:
        the file.
    """
    reading = studies[0].reading
    place = {system.name: number for number, system in enumerate(reading.results.systems)}
    head = figures(studies) | {
        "title": title,
        "made": _made(command),
        "runs": [place[run.scores.system] for run in reading.runs],
        "seeds": [run.scores.seed for run in reading.runs],
        "alignment": ALIGNMENTS[reading.runs[0].scores.alignment].step,
        "compared": _compared(reading.runs[0].scores),
    }
    out = Path(out)
    write_page(
        out / PAGE,
        head,
        blocks(reading.runs, reading.results.names, out),
        [read_run(run) for run in reading.runs],
    )
    return out / PAGE


def _compared(scores: Scores) -> str:
    """In which form hypotheses are shown and marked, if not as decoded."""
    changed = scores.normalised
    if not changed:
        return ""
    return f"Hypotheses are shown, and errors marked in them, as they were scored: {changed}."


def _made(command: str) -> str:
    parts = [datetime.date.today().isoformat()]
    if commit():
        parts.append(f"commit {commit()}")
    if command:
        parts.append(shown_command(command, Path()))
    return " · ".join(parts)
