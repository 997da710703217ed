"""The HTML page of a report, from the ``scores.json`` files that it is about."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from espnet_robust.common.errors import UserError
from espnet_robust.common.made_of import commit
from espnet_robust.common.shown_command import shown_command
from espnet_robust.score.page.figures import Counts, figures
from espnet_robust.score.page.runs import read_run
from espnet_robust.score.page.tested import FILE, Tested, read_tested
from espnet_robust.score.page.utterances import Run, blocks
from espnet_robust.score.page.write import PAGE, write_page
from espnet_robust.score.results import gather
from espnet_robust.score.schema import Scores, read_counts, read_scores


def make_page(
    out: str | Path,
    paths: Sequence[str | Path],
    *,
    baseline: str = "",
    order: Sequence[str] = (),
    names: Mapping[Path, str] = MappingProxyType({}),
    title: str = "Report",
    command: str = "",
) -> Path:
    """Write ``index.html`` into ``out``; for the arguments and errors see ``write_report``.

    Args:
        title: heading of the page.
        command: what was run.

    Returns:
        the file. Without ``tested.json`` beside the scores it has no utterances, and says why.
    """
    out = Path(out)
    read = [(path, read_scores(path)) for path in map(Path, paths)]
    read = [(path, replace(s, system=names.get(path, s.system))) for path, s in read]
    results = gather((scores for _, scores in read), order)
    directory_of = {(s.system, s.seed): path.parent for path, s in read}
    scores = [run for system in results.systems for run in system.runs]
    directories = [directory_of[run.system, run.seed] for run in scores]
    counts = [_counts(directory) for directory in directories]
    runs, without = _runs(scores, directories, counts)
    place = {system.name: number for number, system in enumerate(results.systems)}
    by_system: dict[str, list[Counts]] = {name: [] for name in place}
    for run, errors in zip(scores, counts, strict=True):
        by_system[run.system].append(errors)
    head = figures(results, by_system, baseline) | {
        "title": title,
        "made": _made(command),
        "notes": _notes(baseline),
        "runs": [place[run.system] for run in scores],
        "seeds": [run.seed for run in scores],
        "without": without,
    }
    utterances = () if without else blocks(runs, results.names, out)
    write_page(out / PAGE, head, utterances, [read_run(d) for d in directories])
    return out / PAGE


def _counts(directory: Path) -> Counts:
    """Errors by utterance; none where they cannot be read, as the table says in its files."""
    try:
        return read_counts(directory / "counts.tsv")
    except UserError:
        return {}


def _runs(
    scores: Sequence[Scores], directories: Sequence[Path], counts: Sequence[Counts]
) -> tuple[list[Run], str]:
    """The runs whose utterances can be shown, or why there are none to show."""
    found, problems = [], []
    for run, directory, errors in zip(scores, directories, counts, strict=True):
        try:
            tested = read_tested(directory / FILE)
        except UserError as e:
            problems.append(str(e))
            tested = Tested("text", {}, {})
        found.append(Run(run.system, run.seed, tested, errors))
    none = len(problems) == len(found)
    return found, f"No utterances to show: {problems[0]}; score the systems again." if none else ""


def _made(command: str) -> str:
    parts = [datetime.date.today().isoformat()]
    if commit():
        parts.append(f"commit {commit()}")
    if command:
        parts.append(shown_command(command, Path()))
    return " · ".join(parts)


def _notes(baseline: str) -> str:
    text = "Intervals: 95 %, by bootstrap over utterances, errors averaged over seeds."
    if baseline:
        text += (
            f" + and −: better and worse than {baseline}, where the interval of the paired "
            "difference leaves out 0."
        )
    return text + " Bold: best of the row."
