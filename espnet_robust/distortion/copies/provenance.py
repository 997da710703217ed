"""Record what a copy was made of, and check that everything written is still there."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from espnet_robust.common.files import write_atomic
from espnet_robust.common.made_of import sha256
from espnet_robust.data.conditions import FILE as CONDITION
from espnet_robust.data.data_dir import AUDIO_TABLES, is_table
from espnet_robust.data.digests import digests

FILE = "distortion.json"  # what the copy was made of; if the same job finds it, it is done
MANIFEST = "distortion.files"  # SIZE SHA256 NAME per file; for audio, SHA256 is "-"
OWN = ("wav.scp", "utt2num_samples", "utt2dur", "utt2distortion")  # written for the copy
# Files derived from the undistorted audio, and those that describe the source if it is a copy.
_NOT_CARRIED = AUDIO_TABLES | {
    *OWN, "spk2utt", FILE, MANIFEST, CONDITION,
}  # fmt: skip

_VERSION = 4  # raised when layout or sound changes; copies of another version are made again


def carried_files(src: Path) -> list[Path]:
    """The files of a data dir that its copies carry over as they are, sorted.

    Without ``spk2utt``, which follows from ``utt2spk`` where there is one.
    """
    return [
        file
        for file in sorted(src.iterdir())
        if file.is_file() and not file.name.startswith(".") and file.name not in _NOT_CARRIED
    ]


def describe(
    src: Path, drawn_from: Iterable[str], *, hash_audio: bool, **options: Any
) -> dict[str, Any]:
    """Everything that a copy depends on, JSON-able.

    Args:
        src: the data dir to be distorted.
        drawn_from: data dirs of noise, rooms and voices.
        hash_audio: hash all audio, whatever the sizes and times of its files.
        options: the other options of the job.

    Raises:
        DataDirError: a data dir is missing, or a table is damaged.
    """
    of_data = digests(src, read_again=hash_audio)
    others = {f.name: sha256(f) for f in carried_files(src) if not is_table(f.name)}
    # The utterances' records hold the paths from the source's wav.scp.
    source = others | of_data | {"wav.scp": sha256(src / "wav.scp")}
    return {
        "version": _VERSION,
        "src": str(src),
        "source": source,
        "drawn_from": {d: digests(d, read_again=hash_audio) for d in map(str, drawn_from)},
        **json.loads(json.dumps(options, default=str)),
    }


def read_record(copy: Path) -> dict[str, Any] | None:
    """A copy's ``distortion.json``; None if it is missing or damaged."""
    try:
        record = json.loads((copy / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def write_record(copy: Path, record: dict[str, Any]) -> None:
    write_atomic(copy / FILE, json.dumps(record, indent=1) + "\n")


def list_files(copy: Path, tables: Iterable[str], audio: Iterable[tuple[str, int]]) -> dict:
    """Write the list of all files of a copy; return the entry for its record.

    Args:
        tables: names of files whose content is compared later.
        audio: names of files and their sizes in bytes; only the sizes are compared later.
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
    """A message on the first file of a finished copy that is missing or altered; None if none is.

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
                    return f"{name} is missing or has another size"
                if digest != "-" and sha256(copy / name) != digest:
                    return f"{name} was changed after it was written"
    except (OSError, ValueError):
        return f"{MANIFEST} is missing or damaged"
    if {"files": number, "sha256": total.hexdigest()} != listed:
        return f"{MANIFEST} was changed after it was written"
    return None


def same_size(copy: Path, name: str, size: int) -> bool:
    """Whether the copy has a file of this name and size in bytes."""
    try:
        return (copy / name).stat().st_size == size
    except OSError:
        return False
