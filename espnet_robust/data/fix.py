"""Repair the tables of a data dir, as Kaldi's fix_data_dir.sh does."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from espnet_robust.common.errors import DataDirError
from espnet_robust.common.files import write_atomic
from espnet_robust.data.data_dir import (
    LENGTHS,
    MAY_BE_EMPTY,
    check_speakers,
    format_table,
    is_table,
    not_utf8,
    spk2utt,
)

BACKUP = ".backup"  # in the data dir: the changed files as they were before
_ALSO_BY_UTTERANCE = ("feats.scp", "vad.scp", "segments")

Table = dict[str, str]


def fix_data_dir(path: str | Path) -> list[str]:
    """Keep the utterances that all tables have, sort the tables and rewrite ``spk2utt``.

    If an utterance has several lines, the first is kept. Dropped are blank lines, ids with nothing
    after them, recordings that no utterance of ``segments`` needs, and speakers without utterances.
    Changed files are kept as they were in ``.backup``. A valid data dir is not touched.

    ``utt2dur`` and ``utt2num_samples`` drop no utterances, because the audio gives what they lack:
    if they lack any, they are removed, to be written again.

    Returns:
        What was done: one line per kind of change and file.

    Raises:
        DataDirError: not a data dir, a table is not UTF-8 or cannot be written, or no utterance is
            in all tables. Nothing is changed then.
    """
    path = Path(path)
    if not (path / "wav.scp").is_file():
        raise DataDirError(f"{path}: no wav.scp in it, so it is not a data dir")
    done: list[str] = []
    tables = {name: _read(path / name, done) for name in _names(path)}
    agreeing = _agreeing(path, tables, done)
    contents = {name: format_table(table.items()) for name, table in agreeing.items()}
    if "utt2spk" in tables:
        check_speakers(path, tables["utt2spk"])
        contents |= _by_speaker(path, contents["utt2spk"], done)
    _write(path, contents, done)
    _remove(path, sorted(tables.keys() - agreeing.keys()))
    return done


def _names(path: Path) -> list[str]:
    return sorted(
        f.name
        for f in path.iterdir()
        if f.is_file() and (is_table(f.name) or f.name in _ALSO_BY_UTTERANCE)
    )


def _read(path: Path, done: list[str]) -> Table:
    """The first line of each id, in file order; dropped lines are reported in ``done``."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    except OSError as e:
        raise DataDirError(f"{path}: cannot be read: {e.strerror}") from None
    table: Table = {}
    again, empty = [], []
    for line in text.encode().splitlines():
        parts = line.split(None, 1)  # ASCII blanks only: U+3000 may be part of a text
        if not parts:
            continue
        utt = parts[0].decode()
        entry = parts[1].rstrip().decode() if len(parts) > 1 else ""
        if not entry and not path.name.startswith(MAY_BE_EMPTY):
            empty.append(utt)
        elif table.setdefault(utt, entry) != entry:
            again.append(utt)
    _tell(done, path.name, again, "have several lines; the first is kept")
    _tell(done, path.name, empty, "dropped: nothing after the id")
    return table


def _agreeing(path: Path, tables: Mapping[str, Table], done: list[str]) -> dict[str, Table]:
    """The tables, sorted, reduced to the utterances that all of them have.

    Those in LENGTHS do not count, and are left out if they lack any of these.
    """
    lengths = {name: table for name, table in tables.items() if name in LENGTHS}
    tables = {name: table for name, table in tables.items() if name not in LENGTHS}
    per_recording = {"wav.scp"} if "segments" in tables else set()
    keep = set.intersection(*(set(t) for n, t in tables.items() if n not in per_recording))
    recording_of = {}
    if per_recording:
        recording_of = {utt: tables["segments"][utt].split()[0] for utt in keep}
        keep = {utt for utt in keep if recording_of[utt] in tables["wav.scp"]}
    if not keep:
        smallest = min(tables, key=lambda name: len(tables[name]))
        raise DataDirError(
            f"{path}: no utterance is in all of {', '.join(tables)}; the shortest is {smallest}"
            f" with {len(tables[smallest])} lines"
        )
    agreeing = {}
    for name, table in lengths.items():
        again = f"data validate --add_tables writes it again; the old one is in {BACKUP}/{name}"
        _tell(done, name, sorted(keep - table.keys()), f"missing, so it is removed; {again}")
    whole = {name: table for name, table in lengths.items() if table.keys() >= keep}
    for name, table in sorted((tables | whole).items()):
        ids = {recording_of[utt] for utt in keep} if name in per_recording else keep
        _tell(done, name, sorted(table.keys() - ids), "dropped: not in all tables")
        agreeing[name] = {one: table[one] for one in sorted(ids)}
    return agreeing


def _by_speaker(path: Path, utt2spk: str, done: list[str]) -> dict[str, str]:
    """A new spk2utt, and the other spk2* files without the speakers that have no utterance left."""
    speakers = spk2utt(dict(line.split(" ", 1) for line in utt2spk.splitlines()))
    contents = {"spk2utt": format_table(speakers.items())}
    for file in sorted(path.glob("spk2*")):
        if file.is_file() and file.name != "spk2utt":
            table = _read(file, done)
            _tell(done, file.name, sorted(table.keys() - speakers.keys()), "dropped: no utterances")
            kept = {one: table[one] for one in sorted(table) if one in speakers}
            contents[file.name] = format_table(kept.items())
    return contents


def _keep_old(file: Path) -> None:
    (file.parent / BACKUP).mkdir(exist_ok=True)
    shutil.copy2(file, file.parent / BACKUP / file.name)


def _remove(path: Path, names: Iterable[str]) -> None:
    try:
        for name in names:
            _keep_old(path / name)
            (path / name).unlink()
    except OSError as e:
        raise DataDirError(f"{path}: cannot be written: {e.strerror}") from None


def _write(path: Path, contents: Mapping[str, str], done: list[str]) -> None:
    try:
        for name, content in contents.items():
            file = path / name
            if file.exists():
                if file.read_bytes() == content.encode():
                    continue
                _keep_old(file)
            write_atomic(file, content)
            done.append(f"{name}: rewritten, sorted; the old one is in {BACKUP}/{name}")
    except OSError as e:
        raise DataDirError(f"{path}: cannot be written: {e.strerror}") from None


def _tell(done: list[str], name: str, ids: list[str], what: str) -> None:
    if ids:
        shown = ", ".join(ids[:3]) + ", ..." * (len(ids) > 3)
        done.append(f"{name}: {len(ids)} {what} ({shown})")
