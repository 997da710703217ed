"""EMO-DB: acted German sentences with emotion labels, 5 folds, 4 classes.

    wav/SPEAKER SENTENCE EMOTION VERSION.wav, such as 03a01Wa.wav

Burkhardt et al., Interspeech 2005. The four classes of SUPERB's emotion task: neutral, sad, angry
and happy; boredom, disgust and fear are left out. Fold N tests on two speakers, a woman and a man;
the two of the next fold make dev. All speakers say the same ten sentences.
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
    find_audio,
    write_recordings,
)

CLASSES = {"N": "neu", "T": "sad", "W": "ang", "F": "hap"}
OTHERS = frozenset("LEA")  # boredom, disgust, fear
NAME = re.compile(r"(\d\d)[ab]\d\d([A-Z])[a-z]")
# Fold -> its test speakers, a man and a woman.
FOLDS = {
    "1": ("03", "08"),
    "2": ("10", "09"),
    "3": ("11", "13"),
    "4": ("12", "14"),
    "5": ("15", "16"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "wav/")
    parser.add_argument(
        "--folds", type=comma_list, default=tuple(FOLDS), help="(default: 1,2,3,4,5)"
    )


def prepare(
    out: Path,
    *,
    root: Path,
    folds: tuple[str, ...] = tuple(FOLDS),
    copy: bool = False,
    skip_bad: bool = False,
) -> list[Path]:
    """Write OUT/foldN_{train,dev,test} with ``utt2label`` and ``utt2spk``.

    Raises:
        UserError: ``root`` is not EMO-DB, or a fold is not 1 to 5.
        DataDirError: a file is not named as published, or a speaker has no recordings.
        AudioError: as for ``write_recordings``.
    """
    check_root(root, "EMO-DB", ["wav"])
    if unknown := [fold for fold in folds if fold not in FOLDS]:
        raise UserError(f"EMO-DB has no fold {unknown[0]!r}; it has {', '.join(FOLDS)}")
    speakers = read_speakers(root)
    dirs = {}
    for fold in folds:
        after = str(int(fold) % len(FOLDS) + 1)
        held_out = {"test": FOLDS[fold], "dev": FOLDS[after]}
        rest = tuple(s for s in speakers if s not in held_out["test"] + held_out["dev"])
        for part, names in {"train": rest, **held_out}.items():
            dirs[out / f"fold{fold}_{part}"] = [r for name in names for r in speakers[name]]
    return write_recordings(dirs, copy=copy, skip_bad=skip_bad)


def read_speakers(root: Path) -> dict[str, list[Recording]]:
    """Speaker -> recordings of the four classes."""
    speakers: dict[str, list[Recording]] = {s: [] for pair in FOLDS.values() for s in pair}
    for path in find_audio(root, "wav/*"):
        name = NAME.fullmatch(path.stem)
        if name is None or name[1] not in speakers or name[2] not in CLASSES.keys() | OTHERS:
            raise DataDirError(
                f"{path}: not named as EMO-DB's files are: speaker, sentence, emotion and version, "
                "such as 03a01Wa"
            )
        if name[2] in CLASSES:
            entries = {"utt2spk": name[1], "utt2label": CLASSES[name[2]]}
            speakers[name[1]].append(Recording(path.stem, path, entries))
    if missing := [speaker for speaker, recordings in speakers.items() if not recordings]:
        raise DataDirError(f"{root}/wav: no recordings of speaker {missing[0]}; is it complete?")
    return speakers
