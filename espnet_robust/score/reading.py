"""Read the input of a report: ``scores.json`` files, and the tables beside each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from espnet_robust.common.errors import UserError
from espnet_robust.common.made_of import made_by
from espnet_robust.score.compared_file import FILE, Texts, read_compared
from espnet_robust.score.counts import some
from espnet_robust.score.counts_file import UNKNOWN, UtteranceErrors, read_counts
from espnet_robust.score.results import Results, gather
from espnet_robust.score.schema import Scores, read_scores

MANY = 3  # test sets, each of which gets a line if it is gone

Table = Mapping[str, UtteranceErrors]


@dataclass(frozen=True)
class Run:
    """One system trained with one seed.

    Args:
        scores: its ``scores.json``, the system named as the report names it.
        directory: the directory of that file and of ``counts.tsv``.
        experiment: directory of the system and seed, with ``asr/``, ``student/``, ...
        counts: condition -> errors by utterance; empty if there is no ``counts.tsv``.
        compared: condition -> the texts that were compared in another form than scoring without
            options compares them, by utterance.
    """

    scores: Scores
    directory: Path
    experiment: Path
    counts: Table
    compared: Mapping[str, Mapping[str, Texts]]

    @property
    def commit(self) -> str:
        """The commit that trained it, or else scored it; empty if unknown."""
        trained = made_by(self.experiment / self.scores.task)
        return trained or made_by(self.directory)

    def find(self, path: str) -> Path | None:
        """A file or directory as the scoring named it, from the directory of ``scores.json``, from
        one above, or else from here.

        The scoring of a recipe names its data from the directory of the recipe, which its
        experiment is in, unless that is kept elsewhere. From here it would be the data of another
        recipe, if that has files of the same names.
        """
        own, here = self.directory.absolute(), Path.cwd()
        # From here as given: a page should not tell where its recipe lies.
        above = [Path() if up == here else up for up in (own, *own.parents)]
        return next((p for up in (*above, Path()) if (p := up / path).exists()), None)


@dataclass(frozen=True)
class Reading:
    """All runs of a report.

    Args:
        runs: by system in the order of the report, then by seed.
        results: their rates.
        problems: warnings for the reader of the report, one per line.
    """

    runs: tuple[Run, ...]
    results: Results
    problems: tuple[str, ...]

    def of(self, system: str) -> list[Run]:
        """The runs of one system."""
        return [run for run in self.runs if run.scores.system == system]

    def table(self, condition: str) -> UtteranceErrors | None:
        """The utterances of a condition, from the first run that was tested under it."""
        return next((r.counts[condition] for r in self.runs if condition in r.counts), None)


def read_runs(
    paths: Sequence[str | Path],
    order: Sequence[str] = (),
    names: Mapping[Path, str] = MappingProxyType({}),
) -> Reading:
    """Read and check everything.

    Args:
        paths: ``scores.json`` files.
        order: see ``gather``.
        names: names for the systems of files, if different from those in the files.

    Raises:
        UserError: as for ``read_scores`` and ``gather``; a ``counts.tsv`` is damaged; or runs were
            scored against different references or with different options.
    """
    read = [(path, read_scores(path)) for path in map(Path, paths)]
    named = [(path, replace(s, system=names.get(path, s.system))) for path, s in read]
    results = gather((scores for _, scores in named), order)
    problems: list[str] = []
    by_key = {(s.system, s.seed): (path, s) for path, s in named}
    runs = []
    for system in results.systems:
        for scores in system.runs:
            path, _ = by_key[scores.system, scores.seed]
            runs.append(_run(path, scores, problems))
    _check_options([run.scores for run in runs])
    _check_references(runs)
    problems += _said(run.scores for run in runs)
    problems += _moved(runs)
    return Reading(tuple(runs), results, tuple(problems))


def _run(path: Path, scores: Scores, problems: list[str]) -> Run:
    directory = path.parent
    counts: Table = {}
    if (directory / "counts.tsv").exists():
        counts = read_counts(directory / "counts.tsv")
    else:
        problems.append(f"{_name(scores)}: no counts.tsv beside its scores.json, so no intervals")
    compared: Mapping[str, Mapping[str, Texts]] = {}
    if (directory / FILE).exists():
        compared = read_compared(directory / FILE)
    elif scores.normalisation and scores.decoded:
        problems.append(
            f"{_name(scores)}: no {FILE} beside its scores.json, so the page marks errors in texts "
            "as decoded; score again"
        )
    # The scores of further test sets lie in directories of their own below the experiment.
    inside = any((directory / part).is_dir() for part in (scores.task, "decode"))
    return Run(scores, directory, directory if inside else directory.parent, counts, compared)


def _check_options(scores: Sequence[Scores]) -> None:
    """Refuse to compare systems that were scored in different ways."""
    first = scores[0]
    for other in scores[1:]:
        for what in ("alignment", "normalisation"):
            one, two = getattr(first, what), getattr(other, what)
            if one != two:
                raise UserError(
                    f"{_name(first)} and {_name(other)} were scored with different {what}: {one} "
                    f"and {two}; score one of them again, or leave it out with --systems"
                )


def _check_references(runs: Sequence[Run]) -> None:
    """Refuse to compare rates on different test sets."""
    first: dict[str, tuple[Run, str]] = {}
    for run in runs:
        for condition in run.scores.conditions:
            if condition.reference is None:
                continue
            known, digest = first.setdefault(condition.name, (run, condition.reference))
            if digest != condition.reference:
                raise _different(known, run, condition.name)
    _check_utterances(runs)


def _check_utterances(runs: Sequence[Run]) -> None:
    """All ``counts.tsv`` must have the same utterances, for errors are compared by these."""
    first: dict[str, Run] = {}
    for run in runs:
        for condition, table in run.counts.items():
            known = first.setdefault(condition, run)
            other = known.counts[condition]
            if other.ids != table.ids or not _same_words(run, table, other):
                raise _different(known, run, condition)


def _same_words(run: Run, one: UtteranceErrors, two: UtteranceErrors) -> bool:
    """Of a reference that leaves a choice, each system has the words nearest to its own."""
    chosen = run.scores.normalisation.get("alternatives", False)
    return bool(chosen) or np.array_equal(one.words[:, 0], two.words[:, 0])


def _different(one: Run, other: Run, condition: str) -> UserError:
    return UserError(
        f"condition {condition!r}: {_name(one.scores)} and {_name(other.scores)} were scored "
        f"against different references{_first_difference(one, other, condition)}; score both "
        "against one test set, or leave one out with --systems"
    )


def _first_difference(one: Run, other: Run, condition: str) -> str:
    a, b = one.counts.get(condition), other.counts.get(condition)
    if a is None or b is None:
        return ""
    if alone := sorted(set(a.ids) ^ set(b.ids)):
        return f" ({some(alone)} in only one of them)"
    words = dict(zip(b.ids, b.words[:, 0], strict=True))
    for utt, count in zip(a.ids, a.words[:, 0], strict=True):
        if words[utt] != count:
            return f" ({utt}: {count} and {words[utt]} words)"
    return ""


def _said(scores: Iterable[Scores]) -> Iterator[str]:
    """Warnings on irregularities that scoring tolerated."""
    for run in scores:
        for condition in run.conditions:
            where = f"{_name(run)}, {condition.name}"
            if condition.missing:
                yield f"{where}: {condition.missing} utterances without hypothesis count as deleted"
            if condition.empty:
                yield f"{where}: {condition.empty} empty references, which add insertions only"


def _moved(runs: Sequence[Run]) -> Iterator[str]:
    """Warnings on test sets that have moved since they were scored; one, if they are many."""
    seen, gone = set(), []
    for run in runs:
        for condition in run.scores.conditions:
            path = condition.data_dir
            if path and path not in seen:
                seen.add(path)
                if run.find(path) is None:
                    shown = Path(path).name if Path(path).is_absolute() else path
                    gone.append((condition.name, shown))
    if len(gone) > MANY:
        yield f"{len(gone)} test sets have moved or are deleted: {gone[0][1]} and others"
        return
    for name, shown in gone:
        yield f"{name}: its test set {shown} has moved or is deleted"


def known_speakers(reading: Reading, conditions: Sequence[str]) -> set[str]:
    """The speakers of these conditions whose names are known."""
    tables = filter(None, map(reading.table, conditions))
    return {s for table in tables for s in table.speakers} - {UNKNOWN}


def speaker_names(reading: Reading, conditions: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Condition -> the unit to draw for each utterance: its speaker, or the utterance itself if
    there is only one speaker."""
    tables = {name: table for name in conditions if (table := reading.table(name))}
    if len(known_speakers(reading, conditions)) < 2:
        return {name: table.ids for name, table in tables.items()}
    return {
        name: tuple(
            utt if speaker == UNKNOWN else speaker
            for utt, speaker in zip(table.ids, table.speakers, strict=True)
        )
        for name, table in tables.items()
    }


def _name(scores: Scores) -> str:
    return f"{scores.system} (seed {scores.seed})"
