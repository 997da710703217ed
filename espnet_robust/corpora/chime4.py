"""CHiME-4: sentences read in real noise, one of a tablet's six channels; LDC2017S24.

    data/audio/16kHz/{isolated,isolated_1ch_track}/PART_ENV_{real,simu}/SPK_SENTENCE_ENV[.CHn].wav
    data/transcriptions/PART_{real,simu}.dot_all

Vincent et al., Computer Speech and Language 2017. The official parts are kept. dt05 and et05 are
read from the one-channel track, which draws one channel for each utterance; tr05 from one channel
of ``isolated``. (Simulated training speech has its transcripts in WSJ0 only.)
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
    visible,
    write_recordings,
)

SETS = ("tr05_real", "dt05_real", "dt05_simu", "et05_real", "et05_simu")
ENVIRONMENTS = ("bus", "caf", "ped", "str")
AUDIO = "data/audio/16kHz"
ONE_CHANNEL = "isolated_1ch_track"
LINE = re.compile(r"(.*?)\s*\((\w+)\)\s*")  # WORDS (F01_050C0101_BUS)
# Marks in WSJ's detailed transcripts that are not words: [noise], ~ (cut off), . (a pause); and
# what Kaldi writes for a noise.
NOT_WORDS = re.compile(r"\[.*\]|[.~]|<NOISE>")
STRUCK = re.compile(r"^<([\w']+)>$")  # marked as a slip, but spoken
SPELT = {"%PERCENT": "PERCENT", ".POINT": "POINT", "--DASH": "-DASH"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "data/audio and data/transcriptions")
    parser.add_argument("--sets", type=comma_list, default=SETS, help=f"some of {', '.join(SETS)}")
    parser.add_argument("--channel", type=int, default=5, help="for tr05, 1 to 6 (default: 5)")


def prepare(
    out: Path,
    *,
    root: Path,
    sets: tuple[str, ...] = SETS,
    channel: int = 5,
    copy: bool = False,
    skip_bad: bool = False,
) -> list[Path]:
    """Write OUT/SET for every set, with the environment in ``utt2group``.

    Raises:
        UserError: ``root`` is not CHiME-4, or a set is unknown.
        DataDirError: transcripts without audio, or audio without a transcript.
        AudioError: as for ``write_recordings``.
    """
    check_root(root, "CHiME-4", [AUDIO, "data/transcriptions"])
    if unknown := [name for name in sets if name not in SETS]:
        raise UserError(f"CHiME-4 has no set {unknown[0]!r}; there are {', '.join(SETS)}")
    dirs = {out / name: read_set(root, name, channel) for name in sets}
    return write_recordings(dirs, copy=copy, skip_bad=skip_bad)


def read_set(root: Path, name: str, channel: int) -> list[Recording]:
    """The utterances of a set such as et05_real."""
    part, arm = name.split("_")
    training = part == "tr05"
    track, ending = ("isolated", f".CH{channel}.wav") if training else (ONE_CHANNEL, ".wav")
    audio = {
        path.name.removesuffix(ending): path
        for env in ENVIRONMENTS
        for path in visible(root / AUDIO / track / f"{part}_{env}_{arm}", f"*{ending}")
    }
    table = root / f"data/transcriptions/{name}.dot_all"
    if not audio:
        raise DataDirError(f"{root}/{AUDIO}/{track}: no audio of {name} in it")
    texts = {}
    for line in read_text(table).splitlines():
        match = LINE.fullmatch(line)
        if not match:
            raise DataDirError(f"{table}: not 'WORDS (ID)': {line!r}")
        texts[match[2]] = plain_words(match[1])
    if silent := sorted(texts.keys() - audio.keys()):
        raise DataDirError(f"{root}/{AUDIO}/{track}: no audio {silent[0]}{ending} of {name}")
    if untold := sorted(audio.keys() - texts.keys()):
        raise DataDirError(f"{audio[untold[0]]}: no transcript in {table}")
    return [
        Recording(
            f"{utt}_{arm.upper()}",
            audio[utt],
            {
                "text": texts[utt],
                "utt2spk": utt.split("_")[0],
                "utt2group": utt.rpartition("_")[2].lower(),
            },
        )
        for utt in sorted(texts)
    ]


def plain_words(dot: str) -> str:
    r"""The words of a detailed WSJ transcript, normalised as in Kaldi's WSJ and CHiME-4 recipes
    (normalize_transcript.pl), so that error rates are comparable; noises are left out.

    >>> plain_words(r"Mr\. <and> s:lightly [loud_breath] . five %percent -(su)bstance")
    'MR. AND S:LIGHTLY FIVE PERCENT -(SU)BSTANCE'
    """
    words = (word.replace("\\", "") for word in dot.upper().split())
    spoken = (SPELT.get(word, word) for word in words)
    return " ".join(STRUCK.sub(r"\1", word) for word in spoken if not NOT_WORDS.fullmatch(word))
