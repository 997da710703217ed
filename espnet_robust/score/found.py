"""Find the runs in experiments, and the names of their systems in a report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.score.schema import read_scores

SCORES = "scores.json"


def named(given: Sequence[str]) -> dict[Path, str]:
    """``scores.json`` -> the name of its system, in the order given.

    Args:
        given: ``[NAME=]PATH``: a ``scores.json``, the directory with one, or an experiment, which
            holds a directory SYSTEM_seedN for each run.

    Raises:
        UserError: there are no scores, or a NAME is given for an experiment with several systems.
    """
    found: dict[Path, str] = {}
    for word in given:
        name, _, path = word.rpartition("=")
        runs = {run: read_scores(run).system for run in runs_in(Path(path))}
        if name and len(set(runs.values())) > 1:
            known = ", ".join(sorted(set(runs.values())))
            raise UserError(f"{word}: {name!r} cannot name several systems ({known})")
        found |= {run: name or system for run, system in runs.items()}
    return found


def compared(given: Sequence[str], taken: Mapping[Path, str], below: str = ".") -> dict[Path, str]:
    """``scores.json`` of other experiments -> the name of the system.

    Args:
        given: ``[NAME=]EXP``.
        taken: runs already shown, and the names of their systems.
        below: directory of the test set below each run.

    Raises:
        UserError: there are no scores, a run is already shown, or a name is already taken.
    """
    paths, used, found = {run.resolve() for run in taken}, set(taken.values()), {}
    for word in given:
        name, _, path = word.rpartition("=")
        for run in runs_in(Path(path), below):
            if run.resolve() in paths:
                raise UserError(f"--compare {word}: {run} is already in this report")
            system = read_scores(run).system
            shown = f"{name}/{system}" if name else system
            if shown in used:
                raise UserError(
                    f"--compare {word}: there is a system {shown!r} already; name the other "
                    f"experiment: --compare NAME={path}"
                )
            found[run] = shown
        used |= set(found.values())
    return found


def runs_in(path: Path, below: str = ".") -> list[Path]:
    """The ``scores.json`` files of an experiment or of a run, in the order of their names.

    Raises:
        UserError: there are none.
    """
    if path.is_file():
        return [path]
    if (path / below / SCORES).is_file():
        return [path / below / SCORES]
    found = sorted(path.glob(f"*_seed*/{below}/{SCORES}"))
    if not found:
        where = "" if path.exists() else " (no such directory)"
        raise UserError(f"{path}: no scores.json in it{where}; score its systems first")
    return found
