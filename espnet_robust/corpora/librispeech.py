"""LibriSpeech: read English, 960 hours; CC BY 4.0.

    SET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac and SPEAKER-CHAPTER.trans.txt

Panayotov et al., ICASSP 2015; openslr.org/12. Sets keep their names (train-clean-100, ...);
other corpora in this layout, such as LibriLight's 10 hours or your own subset, work too.
"""

import argparse
from pathlib import Path

from espnet_robust.common.errors import DataDirError, UserError
from espnet_robust.corpora.layout import (
    Recording,
    add_root,
    check_root,
    comma_list,
    read_text,
    visible,
    write_recordings,
)

TRANSCRIPTS = "*/*/*.trans.txt"  # in a set


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "train-clean-100, dev-clean, ...")
    parser.add_argument(
        "--sets", type=comma_list, required=True, help="such as dev-clean,test-clean"
    )


def prepare(
    out: Path, *, root: Path, sets: tuple[str, ...], copy: bool = False, skip_bad: bool = False
) -> list[Path]:
    """Write OUT/SET for every set: wav.scp, text, utt2spk and lengths.

    Raises:
        UserError: ``root`` is not LibriSpeech, or has no such set.
        DataDirError: transcripts are missing, or have no audio.
        AudioError: as for ``write_recordings``.
    """
    if root.is_dir() and (there := _sets_in(root)):
        if unknown := [name for name in sets if name not in there]:
            raise UserError(f"{root}: no set {unknown[0]!r} in it; there are {', '.join(there)}")
    else:
        check_root(root, "LibriSpeech", [f"{name}/{TRANSCRIPTS}" for name in sets])
    dirs = {out / name: read_set(root / name) for name in sets}
    return write_recordings(dirs, copy=copy, skip_bad=skip_bad)


def _sets_in(root: Path) -> list[str]:
    return sorted(p.name for p in visible(root) if p.is_dir() and visible(p, TRANSCRIPTS))


def read_set(path: Path) -> list[Recording]:
    """The utterances of a set such as dev-clean.

    Raises:
        DataDirError: a transcript without audio, or audio without a transcript.
    """
    recordings = []
    for chapter in (p for p in visible(path, "*/*") if p.is_dir()):
        speaker = chapter.parent.name
        audio = {f.stem: f for f in visible(chapter, "*.flac")}
        texts = {}
        for transcript in visible(chapter, "*.trans.txt"):
            for line in read_text(transcript).splitlines():
                utt, _, text = line.partition(" ")
                if not text.strip():
                    raise DataDirError(f"{transcript}: no words after {utt!r}")
                texts[utt] = text.strip()
        if silent := sorted(texts.keys() - audio.keys()):
            raise DataDirError(f"{chapter}: no audio {silent[0]}.flac for its transcript")
        if untold := sorted(audio.keys() - texts.keys()):
            raise DataDirError(
                f"{audio[untold[0]]}: no transcript in {speaker}-{chapter.name}.trans.txt"
            )
        recordings += [
            Recording(utt, audio[utt], {"text": text, "utt2spk": speaker})
            for utt, text in texts.items()
        ]
    return recordings
