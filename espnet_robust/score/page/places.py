"""Find the utterances of a run: its test sets, their audio, its hypotheses."""

import functools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_robust.common.errors import DataDirError
from espnet_robust.data.entries import is_pipe
from espnet_robust.score.reading import Run

_SEGMENT = re.compile(r"(.+)\[([\d.]+):(-?[\d.]+)(?:,\d+)?\]")  # entries.segment_entry


@dataclass(frozen=True)
class Places:
    """One condition of one run.

    Args:
        run: the run.
        data_dir: with references and ``wav.scp``.
        decoded: directory with hypotheses; None if it is gone.
        table: name of the table of references and of hypotheses: ``text``, ``utt2label``.
        root: what relative paths in ``wav.scp`` are relative to; empty for the current directory.
    """

    run: Run
    data_dir: Path
    decoded: Path | None
    table: str
    root: str

    @classmethod
    def of(cls, runs: Sequence[Run], condition: str) -> "Places":
        """The places of a condition in the first run that has them.

        Raises:
            DataDirError: no run was tested in this condition, or the test set no longer exists.
        """
        problem = f"{condition}: its scores (averaged folds?) do not say where its utterances are"
        for run in runs:
            score = run.scores.condition(condition)
            if score is None or score.data_dir is None:
                continue
            found = run.find(score.data_dir)
            if found is not None:
                above = found.parts[: len(found.parts) - len(Path(score.data_dir).parts)]
                decoded = decoded_of(run, condition)
                return cls(run, found, decoded, _table_in(decoded), os.path.join("", *above))
            problem = f"{condition}: its test set {score.data_dir} has moved or is deleted"
        raise DataDirError(problem)

    def entry(self, entry: str) -> str:
        """An entry of ``wav.scp`` with its path relative to the current directory."""
        if not self.root or not entry or is_pipe(entry):
            return entry
        return os.path.join(self.root, entry)


def decoded_of(run: Run, condition: str) -> Path | None:
    """The directory with the hypotheses of a condition; None if it is gone."""
    return run.find(f"{run.scores.decoded}/{condition}") if run.scores.decoded else None


def _table_in(decoded: Path | None) -> str:
    names = sorted(path.name for path in decoded.iterdir()) if decoded else []
    return "text" if "text" in names or not names else names[0]


def playable(entry: str, out: Path) -> str | list[Any] | None:
    """An entry of ``wav.scp`` as the page plays it: a path from the page's directory ``out``; for a
    segment [path, start, end] in seconds; None for an archive or a command."""
    if not entry or is_pipe(entry) or re.search(r":\d+$", entry):
        return None
    segment = None if os.path.exists(entry) else _SEGMENT.fullmatch(entry)
    if segment:
        return [_relative(segment[1], out), float(segment[2]), float(segment[3])]
    return _relative(entry, out)


def _relative(path: str, out: Path) -> str:
    directory, name = os.path.split(path)
    return f"{_relative_directory(os.path.abspath(directory), os.path.abspath(out))}/{name}"


@functools.cache
def _relative_directory(directory: str, out: str) -> str:
    return os.path.relpath(directory, out)
