"""nEMO: Polish sentences acted in six emotions, with transcripts; CC BY-NC-SA 4.0.

    data.tsv    samples/SPEAKER_EMOTION_SENTENCE.wav

Christop, LREC-COLING 2024. Nine actors say the same 90 sentences in each emotion. There is no
official split. Here whole actors are held out, and so is every fifth sentence: ``test`` has the
sentences of training, ``test_unseen`` those that are not in it.
"""

import argparse
import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.errors import DataDirError, UserError
from espnet_robust.corpora.layout import (
    Recording,
    add_root,
    check_root,
    comma_list,
    find_audio,
    read_text,
    write_recordings,
)

DEV_SPEAKERS = ("SM0",)
TEST_SPEAKERS = ("MP0", "MK0")  # a man and a woman, those with the fewest recordings
UNSEEN_EVERY = 5  # sentences 5, 10, ..., 90 are not in training
COLUMNS = ("file_id", "emotion", "normalized_text", "speaker_id")
NAME = re.compile(r"[A-Z]{2}\d_([a-z]+)_(\d+)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "data.tsv and samples/")
    parser.add_argument("--dev_speakers", type=comma_list, default=DEV_SPEAKERS)
    parser.add_argument("--test_speakers", type=comma_list, default=TEST_SPEAKERS)


def prepare(
    out: Path,
    *,
    root: Path,
    dev_speakers: tuple[str, ...] = DEV_SPEAKERS,
    test_speakers: tuple[str, ...] = TEST_SPEAKERS,
    copy: bool = False,
    skip_bad: bool = False,
) -> list[Path]:
    """Write OUT/{train,dev,test,test_unseen} with ``text``, ``utt2label`` and ``utt2spk``.

    ``dev`` has the sentences of training, by other actors. The unseen sentences of the actors of
    train and dev are in no data dir.

    Raises:
        UserError: ``root`` is not nEMO, or a speaker is unknown, in two parts, or the last one.
        DataDirError: data.tsv lacks a column, or lists a file that is not there.
        AudioError: as for ``write_recordings``.
    """
    check_root(root, "nEMO", ["data.tsv", "samples"])
    speakers = read_speakers(root)
    for speaker in (held_out := (*dev_speakers, *test_speakers)):
        if speaker not in speakers:
            known = ", ".join(sorted(speakers))
            raise UserError(f"{root}: no speaker {speaker!r} in it; there are {known}")
        if held_out.count(speaker) > 1:
            raise UserError(f"speaker {speaker} is given for two parts; name it once")
    train = [speaker for speaker in speakers if speaker not in held_out]
    if not train:
        raise UserError(f"{root}: no speaker is left for training; hold out fewer")
    dirs = {
        out / "train": _sentences(speakers, train, unseen=False),
        out / "dev": _sentences(speakers, dev_speakers, unseen=False),
        out / "test": _sentences(speakers, test_speakers, unseen=False),
        out / "test_unseen": _sentences(speakers, test_speakers, unseen=True),
    }
    return write_recordings(dirs, copy=copy, skip_bad=skip_bad)


def _sentences(
    speakers: dict[str, list[Recording]], names: Sequence[str], unseen: bool
) -> list[Recording]:
    """The recordings of these speakers whose sentence is (not) in training."""
    return [
        recording
        for name in names
        for recording in speakers[name]
        if (int(recording.id.rpartition("_")[2]) % UNSEEN_EVERY == 0) is unseen
    ]


def read_speakers(root: Path) -> dict[str, list[Recording]]:
    """Speaker -> the recordings that data.tsv lists."""
    table = root / "data.tsv"
    audio = {path.stem: path for path in find_audio(root, "samples/*")}
    # Sentences contain quotation marks, so a " means nothing.
    rows = csv.DictReader(
        io.StringIO(read_text(table)), delimiter="\t", quoting=csv.QUOTE_NONE, strict=True
    )
    if missing := [name for name in COLUMNS if name not in (rows.fieldnames or [])]:
        raise DataDirError(f"{table}: no column {missing[0]!r}; it has {rows.fieldnames}")
    speakers: dict[str, list[Recording]] = {}
    for line, row in enumerate(rows, start=2):
        values = [(row[name] or "").strip() for name in COLUMNS]
        utt, emotion, text, speaker = (Path(values[0]).stem, *values[1:])
        name = NAME.fullmatch(utt)
        if not all(values) or name is None or name[1] != emotion:
            raise DataDirError(f"{table}:{line}: {values[0]!r} is not SPEAKER_EMOTION_SENTENCE.wav")
        if utt not in audio:
            raise DataDirError(f"{table}:{line}: there is no samples/{values[0]}")
        words = " ".join(re.sub(r"[^\w ]", " ", text.lower()).split())
        entries = {"text": words, "utt2spk": speaker, "utt2label": emotion}
        speakers.setdefault(speaker, []).append(Recording(utt, audio[utt], entries))
    if not speakers:
        raise DataDirError(f"{table}: no recordings in it")
    return speakers
