"""What a copy was made of, and whether everything that was written is still there."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from espnet_robust.common.files import write_atomic
from espnet_robust.data.data_dir import iter_table, table_names

FILE = "distortion.json"  # what the copy was made of; the same job finds it and has nothing to do
MANIFEST = "distortion.files"  # SIZE SHA256 NAME for each file; the SHA-256 of audio is "-"

_VERSION = 2  # changes with the layout and the sound; part of what makes two jobs the same


def describe(
    src: Path, drawn_from: Iterable[str], *, hash_audio: bool, **options: Any
) -> dict[str, Any]:
    """All that a copy depends on, JSON-able.

    Args:
        src: the data dir to be distorted.
        drawn_from: data dirs of noise, rooms and voices.
        hash_audio: tell audio files apart by content instead of by size and time.
        options: the job's others.

    Raises:
        DataDirError: a data dir is missing, or a table damaged.
    """
    return {
        "version": _VERSION,
        "src": str(src),
        "src_tables": {path.name: _sha256(path) for path in _tables_of(src)},
        "src_audio": _audio_state(src, hash_audio),
        "drawn_from": {str(f): _sha256(f) for d in drawn_from for f in _tables_of(Path(d))},
        "drawn_from_audio": {str(d): _audio_state(Path(d), hash_audio) for d in drawn_from},
        "hash_audio": hash_audio,
        **json.loads(json.dumps(options, default=str)),
    }


def _tables_of(path: Path) -> list[Path]:
    return [path / name for name in table_names(path)]


def _sha256(path: Path) -> str:
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _audio_state(data_dir: Path, by_content: bool) -> str:
    """A hash over the files of ``wav.scp``: it changes when one is replaced under its name."""
    total = hashlib.sha256()
    last, state = None, ""
    for _, entry in iter_table(data_dir / "wav.scp"):
        file = _file_of(entry)
        if file != last:  # the utterances of an ark follow each other
            last, state = file, _file_state(file, by_content)
        total.update(f"{entry} {state}\n".encode())
    return total.hexdigest()


def _file_of(entry: str) -> Path | None:
    """The file of an entry of ``wav.scp``; None for a command."""
    if entry.endswith("|"):
        return None
    ark, colon, offset = entry.rpartition(":")
    return Path(ark) if colon and offset.isdigit() and not Path(entry).exists() else Path(entry)


def _file_state(file: Path | None, by_content: bool) -> str:
    if file is None:
        return ""
    try:
        about = file.stat()
        return _sha256(file) if by_content else f"{about.st_size} {about.st_mtime_ns}"
    except OSError:
        return "missing"  # named when the source is checked


def read_record(copy: Path) -> dict[str, Any] | None:
    """``distortion.json`` of a copy; None where there is none, or a damaged one."""
    try:
        record = json.loads((copy / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def write_record(copy: Path, record: dict[str, Any]) -> None:
    write_atomic(copy / FILE, json.dumps(record, indent=1) + "\n")


def list_files(copy: Path, tables: Iterable[str], audio: Iterable[tuple[str, int]]) -> dict:
    """Write the list of all files of a copy; returns what its record says about the list.

    Args:
        tables: names of files whose content is compared later.
        audio: names of files and their sizes in bytes, which alone are compared.
    """
    total, number = hashlib.sha256(), 0
    with open(copy / MANIFEST, "w", encoding="utf-8") as f:
        for line in _lines(copy, tables, audio):
            f.write(line)
            total.update(line.encode())
            number += 1
    return {"files": number, "sha256": total.hexdigest()}


def _lines(copy: Path, tables: Iterable[str], audio: Iterable[tuple[str, int]]) -> Iterator[str]:
    for name in tables:
        yield f"{(copy / name).stat().st_size} {_sha256(copy / name)} {name}\n"
    for name, size in audio:
        yield f"{size} - {name}\n"


def damage(copy: Path, listed: Any) -> str | None:
    """What is wrong with a finished copy: the first file that is not as it was written, or None.

    Args:
        listed: what ``list_files`` returned.
    """
    total, number = hashlib.sha256(), 0
    try:
        with open(copy / MANIFEST, encoding="utf-8") as f:
            for line in f:
                total.update(line.encode())
                number += 1
                size, sha256, name = line.rstrip("\n").split(" ", 2)
                if not same_size(copy, name, int(size)):
                    return f"{name} is lost or has another size"
                if sha256 != "-" and _sha256(copy / name) != sha256:
                    return f"{name} is not what was written"
    except (OSError, ValueError):
        return f"{MANIFEST} is lost or damaged"
    if {"files": number, "sha256": total.hexdigest()} != listed:
        return f"{MANIFEST} is not what was written"
    return None


def same_size(copy: Path, name: str, size: int) -> bool:
    """Whether a file of the copy is there with this many bytes."""
    try:
        return (copy / name).stat().st_size == size
    except OSError:
        return False
