"""What a copy was made of, and whether everything that was written is still there."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from espnet_robust.common.files import write_atomic
from espnet_robust.common.made_of import sha256
from espnet_robust.data.digests import digests

FILE = "distortion.json"  # what the copy was made of; the same job finds it and has nothing to do
MANIFEST = "distortion.files"  # SIZE SHA256 NAME for each file; the SHA-256 of audio is "-"

_VERSION = 3  # changes with the layout and the sound; part of what makes two jobs the same


def describe(
    src: Path, drawn_from: Iterable[str], *, hash_audio: bool, **options: Any
) -> dict[str, Any]:
    """All that a copy depends on, JSON-able.

    Args:
        src: the data dir to be distorted.
        drawn_from: data dirs of noise, rooms and voices.
        hash_audio: read all audio, whatever the sizes and times of its files.
        options: the job's others.

    Raises:
        DataDirError: a data dir is missing, or a table damaged.
    """
    # The records of the utterances hold the paths in the source's wav.scp.
    source = digests(src, read_again=hash_audio) | {"wav.scp": sha256(src / "wav.scp")}
    return {
        "version": _VERSION,
        "src": str(src),
        "source": source,
        "drawn_from": {d: digests(d, read_again=hash_audio) for d in map(str, drawn_from)},
        **json.loads(json.dumps(options, default=str)),
    }


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
        yield f"{(copy / name).stat().st_size} {sha256(copy / name)} {name}\n"
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
                size, digest, name = line.rstrip("\n").split(" ", 2)
                if not same_size(copy, name, int(size)):
                    return f"{name} is lost or has another size"
                if digest != "-" and sha256(copy / name) != digest:
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
