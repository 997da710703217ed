"""AN4: census answers and spelt words, 1 hour, 16 kHz (CMU, 1991); free.

    etc/an4_{train,test}.{fileids,transcription}
    wav/{an4_clstk,an4test_clstk}/SPEAKER/anNNN-SPEAKER-b.sph

Acero, 1990; archive an4_sphere.tar.gz. The official test part is kept; a tenth of the training
speakers, chosen by name, is dev. A part of the corpus, such as ESPnet's mini_an4, will do.
"""

import argparse
import re
from collections.abc import Set
from pathlib import Path

from espnet_robust.common.errors import DataDirError
from espnet_robust.corpora.layout import (
    Recording,
    add_root,
    check_root,
    deal,
    inside,
    read_text,
    share_of,
    write_recordings,
)

DEV_SHARE = 0.1
SUFFIXES = (".sph", ".wav", ".flac")
# <s> GO FORWARD </s> (an251-fash-b); the test part has no <s>.
LINE = re.compile(r"(?:<s>)?(.*?)(?:</s>)?\s*\(([^()]+)\)\s*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "etc and wav")


def prepare(out: Path, *, root: Path, copy: bool = False, skip_bad: bool = False) -> list[Path]:
    """Write OUT/{train,dev,test}; ids begin with the speaker, as in fash-an251-b.

    Raises:
        UserError: ``root`` is not AN4.
        DataDirError: transcripts do not match the list of files, audio is missing, or there are
            fewer than three training speakers.
        AudioError: as for ``write_recordings``.
    """
    check_root(root, "AN4", ["etc/an4_train.fileids", "etc/an4_train.transcription", "wav"])
    dirs: dict[Path, list[Recording]] = {out / part: [] for part in ("train", "dev", "test")}
    recordings = read_part(root, "train")
    parts = _parts({recording.entries["utt2spk"] for recording in recordings}, root)
    for recording in recordings:
        dirs[out / parts[recording.entries["utt2spk"]]].append(recording)
    dirs[out / "test"] = read_part(root, "test")
    return write_recordings(dirs, copy=copy, skip_bad=skip_bad)


def _parts(speakers: Set[str], root: Path) -> dict[str, str]:
    """Speaker -> "train" or "dev", neither of which is empty."""
    parts = {speaker: share_of(speaker, DEV_SHARE, 0) for speaker in speakers}
    if len(set(parts.values())) == 2:
        return parts
    if len(speakers) < 3:
        raise DataDirError(
            f"{root}/etc/an4_train.fileids: recordings of {len(speakers)} speakers; three or more"
            " are needed, since dev has speakers of its own"
        )
    return {
        speaker: "dev" if part == "dev" else "train" for speaker, part in deal(speakers).items()
    }


def read_part(root: Path, part: str) -> list[Recording]:
    """The utterances of "train" or "test"."""
    table = root / f"etc/an4_{part}.transcription"
    texts = {}
    for line in read_text(table).splitlines():
        match = LINE.fullmatch(line)
        if not match or not match[1].strip():
            raise DataDirError(f"{table}: not 'WORDS (ID)': {line!r}")
        texts[match[2]] = match[1].strip().upper()
    recordings = []
    for name in read_text(root / f"etc/an4_{part}.fileids").split():
        utt, speaker = Path(name).name, Path(name).parent.name
        if utt not in texts:
            raise DataDirError(f"{table}: no transcript of {utt}")
        recordings.append(
            Recording(
                f"{speaker}-{utt.replace(f'-{speaker}-', '-')}",
                _audio(inside(root / "wav", name, root / f"etc/an4_{part}.fileids")),
                {"text": texts.pop(utt), "utt2spk": speaker},
            )
        )
    if texts:
        raise DataDirError(
            f"{root}/etc/an4_{part}.fileids: {min(texts)} has a transcript but is not listed"
        )
    return recordings


def _audio(stem: Path) -> Path:
    for suffix in SUFFIXES:
        path = stem.with_name(stem.name + suffix)
        if path.exists():
            return path
    if stem.with_name(f"{stem.name}.raw").exists():
        raise DataDirError(f"{stem}.raw has no header; use the archive an4_sphere.tar.gz")
    raise DataDirError(f"{stem}.sph: no audio for its transcript")
