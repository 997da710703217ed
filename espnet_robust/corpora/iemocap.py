"""IEMOCAP: acted dialogues with emotion labels, 5 folds, 4 classes; USC research licence.

    SessionN/dialog/EmoEvaluation/DIALOG.txt  SessionN/dialog/transcriptions/DIALOG.txt
    SessionN/sentences/wav/DIALOG/UTTERANCE.wav

Busso et al., LREC 2008. As in SUPERB: neutral, sad, angry and happy (which includes
excited); fold N tests on session N. Dev is a fifth of the other sessions' dialogues, by name.
"""

import argparse
import re
from pathlib import Path

from espnet_robust.common.errors import DataDirError, UserError
from espnet_robust.corpora.layout import (
    Recording,
    add_root,
    check_root,
    comma_list,
    read_text,
    share_of,
    visible,
    write_recordings,
)

CLASSES = {"ang": "ang", "hap": "hap", "exc": "hap", "neu": "neu", "sad": "sad"}
OTHERS = frozenset({"fru", "sur", "fea", "dis", "oth", "xxx"})
SESSIONS = ("1", "2", "3", "4", "5")
DEV_SHARE = 0.2
# [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]
LABEL = re.compile(r"\[[\d. -]+\]\t(\w+)\t(\w+)\t")
# Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
TRANSCRIPT = re.compile(r"(\w+) \[[\d.-]+\]: *(.*)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "Session1 ... Session5")
    parser.add_argument("--folds", type=comma_list, default=SESSIONS, help="(default: 1,2,3,4,5)")


def prepare(
    out: Path,
    *,
    root: Path,
    folds: tuple[str, ...] = SESSIONS,
    copy: bool = False,
    skip_bad: bool = False,
) -> list[Path]:
    """Write OUT/foldN_{train,dev,test} with ``utt2label``, ``text`` and ``utt2spk``.

    Raises:
        UserError: ``root`` is not IEMOCAP, or a fold is not 1 to 5.
        DataDirError: a label is not in the published list, or an utterance has no words.
        AudioError: as for ``write_recordings``; also if the audio of an utterance is missing.
    """
    check_root(root, "IEMOCAP", [f"Session{n}/dialog/EmoEvaluation" for n in SESSIONS])
    if unknown := [fold for fold in folds if fold not in SESSIONS]:
        raise UserError(f"IEMOCAP has no fold {unknown[0]!r}; it has {', '.join(SESSIONS)}")
    sessions = {n: read_session(root / f"Session{n}") for n in SESSIONS}
    dirs: dict[Path, list[Recording]] = {}
    for fold in folds:
        dirs[out / f"fold{fold}_test"] = sessions[fold]
        for recording in (r for n in SESSIONS if n != fold for r in sessions[n]):
            part = share_of(recording.path.parent.name, DEV_SHARE, 0)
            dirs.setdefault(out / f"fold{fold}_{part}", []).append(recording)
    return write_recordings(dirs, copy=copy, skip_bad=skip_bad)


def read_session(path: Path) -> list[Recording]:
    """The utterances of the four classes."""
    recordings = []
    for table in visible(path / "dialog/EmoEvaluation", "Ses*.txt"):
        words = _read_transcripts(path / "dialog/transcriptions" / table.name)
        for utt, label in LABEL.findall(table.read_text(encoding="latin-1")):
            if label not in CLASSES:
                if label not in OTHERS:
                    raise DataDirError(f"{table}: {utt} has the label {label!r}, not IEMOCAP's")
                continue
            if utt not in words:
                raise DataDirError(f"{table}: {utt} has no transcript in dialog/transcriptions")
            # F or M in a dialogue's name is who wears the markers; the last part is who speaks.
            speaker = utt[:5] + utt.rpartition("_")[2][0]
            entries = {"text": words[utt], "utt2spk": speaker, "utt2label": CLASSES[label]}
            wav = path / "sentences/wav" / table.stem / f"{utt}.wav"
            recordings.append(Recording(f"{speaker}-{utt}", wav, entries))
    if not recordings:
        raise DataDirError(f"{path}/dialog/EmoEvaluation: no labelled utterances in it")
    return recordings


def _read_transcripts(path: Path) -> dict[str, str]:
    return {
        utt: " ".join(re.sub(r"\[.*?\]|[^A-Z' ]", " ", text.upper()).split())
        for utt, text in TRANSCRIPT.findall(read_text(path, "latin-1"))
    }
