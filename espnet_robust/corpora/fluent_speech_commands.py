"""Fluent Speech Commands: 30,000 smart-home requests with intents; academic, non-commercial.

    data/{train,valid,test}_data.csv  wavs/speakers/SPEAKER/*.wav

Lugosch et al., Interspeech 2019; Fluent Speech Commands Public Licence. The official parts are
kept. The intent is "action|object|location" (blanks become _), of which there are 31.
"""

import argparse
import re
from pathlib import Path

from espnet_robust.common.errors import DataDirError
from espnet_robust.corpora.layout import (
    Recording,
    add_root,
    check_root,
    inside,
    write_recordings,
)
from espnet_robust.corpora.rows import read_rows

OFFICIAL = {"train": "train", "valid": "dev", "test": "test"}
COLUMNS = ("path", "speakerId", "transcription", "action", "object", "location")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "data/train_data.csv and wavs")


def prepare(out: Path, *, root: Path, copy: bool = False, skip_bad: bool = False) -> list[Path]:
    """Write OUT/{train,dev,test} with ``text`` (upper case, no punctuation) and ``utt2intent``.

    Raises:
        UserError: ``root`` is not Fluent Speech Commands.
        DataDirError: a table lacks a column, or an intent does not occur in training.
        AudioError: as for ``write_recordings``; also if the audio of a row is missing.
    """
    check_root(root, "Fluent Speech Commands", ["data/train_data.csv", "wavs"])
    parts = {part: read_table(root, name) for name, part in OFFICIAL.items()}
    known = {r.entries["utt2intent"] for r in parts["train"]}
    for name, part in OFFICIAL.items():
        for recording in parts[part]:
            if recording.entries["utt2intent"] not in known:
                raise DataDirError(
                    f"{root}/data/{name}_data.csv: {recording.path.name} has the intent"
                    f" {recording.entries['utt2intent']!r}, which does not occur in training"
                )
    return write_recordings(
        {out / part: recordings for part, recordings in parts.items()},
        copy=copy,
        skip_bad=skip_bad,
    )


def read_table(root: Path, name: str) -> list[Recording]:
    """The recordings of data/NAME_data.csv."""
    table = root / f"data/{name}_data.csv"
    recordings = []
    for line, row in read_rows(table, COLUMNS):
        path = inside(root, row["path"], f"{table}:{line}")
        entries = {
            "text": " ".join(re.sub(r"[^A-Z0-9' ]", " ", row["transcription"].upper()).split()),
            "utt2spk": row["speakerId"],
            # Classes are words: "change language" becomes change_language.
            "utt2intent": "|".join(
                "_".join(row[slot].split()) for slot in ("action", "object", "location")
            ),
        }
        recordings.append(Recording(f"{row['speakerId']}-{path.stem}", path, entries))
    return recordings
