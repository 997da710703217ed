"""The condition of a test set: what ``condition.json`` in its data dir says.

A distorted copy has one, and so has speech that was recorded rather than made: real noise, several
microphones. A data dir without one is undistorted.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet_robust.data.data_dir import subset_data_dir, validate_data_dir
from espnet_robust.errors import DataDirError, UserError
from espnet_robust.files import read_json, write_atomic

CLEAN = "clean"  # the name of the undistorted condition
FILE = "condition.json"


@dataclass(frozen=True)
class Condition:
    """One column of the table of results.

    Args:
        name: part of the name of the data dir, SET_NAME; ``clean`` is undistorted.
        snr_db: the one SNR of the condition, dB; None if it has none or several.
    """

    name: str
    snr_db: float | None = None


def read_condition(data_dir: str | Path) -> Condition:
    """The condition of a test set; without ``condition.json`` it is the undistorted one.

    Raises:
        UserError: the directory is missing, or its ``condition.json`` is not one.
    """
    data_dir = Path(data_dir)
    if not data_dir.is_dir():
        raise UserError(f"{data_dir}: no such data dir; was the stage that makes it run?")
    path = data_dir / FILE
    if not path.exists():
        return Condition(CLEAN)
    content = read_json(path)
    if not isinstance(content.get("name"), str):
        raise UserError(f"{path}: 'name' must be the name of a condition")
    return Condition(content["name"], content.get("snr_db"))


def write_condition(data_dir: Path, condition: Condition) -> None:
    """Write ``condition.json``: {"name": ..., "snr_db": number or null}.

    Raises:
        DataDirError: it cannot be written.
    """
    path = data_dir / FILE
    about = {"name": condition.name, "snr_db": condition.snr_db}
    try:
        write_atomic(path, json.dumps(about) + "\n")
    except OSError as e:
        raise DataDirError(f"{path}: cannot be written: {e.strerror}") from None


def condition_dirs(test_set: str | Path) -> list[Path]:
    """The data dirs of a test set: itself, if undistorted, then SET_CONDITION for each condition.

    A data dir SET_X of another test set, as data/test_other is, is told by its ``condition.json``.

    Raises:
        DataDirError: there are none.
    """
    test_set = Path(test_set)
    undistorted = (test_set / "wav.scp").is_file() and not (test_set / FILE).exists()
    dirs = [test_set] if undistorted else []
    for path in sorted(test_set.parent.glob(f"{test_set.name}_*")):
        name = path.name.removeprefix(f"{test_set.name}_")
        if (path / FILE).is_file() and read_condition(path).name == name:
            dirs.append(path)
    if not dirs:
        raise DataDirError(f"no test set {test_set}; was stage 1 run?")
    return dirs


def split_conditions(
    src: str | Path, out_prefix: str, *, name: str, table: str = "utt2group"
) -> list[Path]:
    """Write ``OUT_PREFIX_NAME_GROUP`` for every group of a test set: a condition each.

    Args:
        table: of ``src``, utterance id -> group.

    Returns:
        The data dirs, by group.

    Raises:
        DataDirError: as of ``validate_data_dir``.
    """
    data = validate_data_dir(src, need=("wav.scp", "text", table))
    members: dict[str, list[str]] = {}
    for utt, group in data.tables[table].items():
        members.setdefault(group, []).append(utt)
    paths = []
    for group, ids in sorted(members.items()):
        condition = Condition(f"{name}_{group}")
        path = subset_data_dir(src, f"{out_prefix}_{condition.name}", ids=ids).path
        write_condition(path, condition)
        paths.append(path)
    return paths


def by_test_set(data_dirs: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """Test set -> condition -> data dir, where ``SET_CONDITION`` is a distorted copy of ``SET``.

    Raises:
        UserError: a directory is missing, or its ``condition.json`` is not one.
    """
    sets: dict[str, dict[str, Path]] = {}
    for data_dir in data_dirs:
        condition = read_condition(data_dir).name
        sets.setdefault(data_dir.name.removesuffix(f"_{condition}"), {})[condition] = data_dir
    return sets
