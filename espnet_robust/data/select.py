"""Make data dirs from others: a subset, one data dir per condition, or several combined.

The condition is kept: a subset of distorted speech is distorted speech.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from espnet_robust.common.errors import DataDirError
from espnet_robust.data.conditions import Condition, as_file, check_name, read_condition
from espnet_robust.data.data_dir import DataDir, validate_data_dir, write_data_dir
from espnet_robust.data.replacing import refuse_source
from espnet_robust.data.segments import cut

MIXED = "mixed"  # the condition of several conditions in one data dir


def subset_data_dir(
    src: str | Path,
    dst: str | Path,
    ids: Iterable[str] | None = None,
    first: int | None = None,
    condition: Condition | None = None,
) -> DataDir:
    """Write the utterances ``ids`` of ``src``, or its ``first`` ones, as the data dir ``dst``.

    Args:
        condition: the condition of ``dst``; None: that of ``src``.

    Raises:
        DataDirError: an id is not in ``src``, no ids are given, or ``dst`` is ``src``.
        UserError: as for ``read_condition``.
    """
    refuse_source(Path(dst), [src])
    data = validate_data_dir(src, need=("wav.scp",))
    keep = set(data.ids if ids is None else ids)
    if unknown := sorted(keep - data.wav.keys()):
        raise DataDirError(f"{src}: no utterances {unknown[:3]} in it ({len(unknown)} unknown)")
    chosen = [utt for utt in data.ids if utt in keep][:first]
    tables = {name: {utt: t[utt] for utt in chosen} for name, t in data.tables.items()}
    return write_data_dir(dst, tables, as_file(condition or read_condition(src)), data.recordings)


def split_conditions(
    src: str | Path, out_prefix: str, *, name: str, table: str = "utt2group"
) -> list[Path]:
    """Write ``OUT_PREFIX_NAME_GROUP`` for every group of a test set, as a condition of its own.

    Args:
        table: a table of ``src``, utterance id -> group.

    Returns:
        The data dirs, by group.

    Raises:
        DataDirError: as for ``validate_data_dir``.
        ConfigError: a group cannot be part of a condition's name.
    """
    data = validate_data_dir(src, need=("wav.scp", "text", table))
    members: dict[str, list[str]] = {}
    for utt, group in data.tables[table].items():
        members.setdefault(check_name(f"{name}_{group}", f"{src}/{table}"), []).append(utt)
    return [
        subset_data_dir(src, f"{out_prefix}_{full}", ids=ids, condition=Condition(full)).path
        for full, ids in sorted(members.items())
    ]


def combine_data_dirs(srcs: Sequence[str | Path], dst: str | Path) -> DataDir:
    """Combine several data dirs into one; tables that some of them lack are dropped.

    The result has their condition if it is the same for all, and "mixed" otherwise.

    Raises:
        DataDirError: an utterance id occurs in two of them, or ``dst`` is one of them.
        UserError: as for ``read_condition``.
    """
    if not srcs:
        raise DataDirError(f"{dst}: no data dirs to combine")
    refuse_source(Path(dst), srcs)
    dirs = [validate_data_dir(src, need=("wav.scp",)) for src in srcs]
    owner: dict[str, Path] = {}
    for data in dirs:
        for utt in data.ids:
            if utt in owner:
                raise DataDirError(f"utterance {utt!r} is in both {owner[utt]} and {data.path}")
            owner[utt] = data.path
    recordings = None
    if any(data.recordings is not None for data in dirs):
        dirs = [_as_segments(data) for data in dirs]
        recordings = _all_recordings(dirs, dst)
    common = sorted(set.intersection(*(set(data.tables) for data in dirs)))
    tables = {n: {u: e for data in dirs for u, e in data.tables[n].items()} for n in common}
    conditions = {read_condition(src) for src in srcs}
    condition = conditions.pop() if len(conditions) == 1 else Condition(MIXED)
    return write_data_dir(dst, tables, as_file(condition), recordings)


def _all_recordings(dirs: Sequence[DataDir], dst: str | Path) -> dict[str, str]:
    recordings: dict[str, str] = {}
    for data in dirs:
        for name, entry in (data.recordings or {}).items():
            if recordings.setdefault(name, entry) != entry:
                raise DataDirError(f"{dst}: two recordings are called {name!r}; rename one")
    return recordings


def _as_segments(data: DataDir) -> DataDir:
    """``data`` with ``segments``, in which each utterance is a whole recording if it had none."""
    if data.recordings is not None:
        return data
    whole = {utt: f"{utt} 0 -1" for utt in data.ids}
    tables = {**data.tables, "segments": whole, "wav.scp": dict(cut(whole, data.wav, "segments"))}
    return DataDir(data.path, tables, data.wav)
