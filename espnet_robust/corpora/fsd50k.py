"""FSD50K: 51,197 Freesound clips of 200 classes, 108 hours; a CC licence per clip.

    FSD50K.dev_audio/*.wav  FSD50K.eval_audio/*.wav  FSD50K.ground_truth/{dev,eval}.csv

Fonseca et al., TASLP 2022; zenodo.org/record/4060432. The official parts are kept: train and val
of dev.csv, and eval. The dataset is CC BY 4.0 as a whole; clips are CC0, CC BY, CC BY-NC or
Sampling+ (FSD50K.metadata).
"""

import argparse
from pathlib import Path

from espnet_robust.common.errors import DataDirError
from espnet_robust.corpora.layout import Recording, add_root, check_root, inside, write_parts
from espnet_robust.corpora.rows import read_rows

OFFICIAL = {"train": "train", "val": "dev"}
COLUMNS = {"dev": ("fname", "labels", "split"), "eval": ("fname", "labels")}
HOLDS = (
    "FSD50K.dev_audio",
    "FSD50K.eval_audio",
    "FSD50K.ground_truth/dev.csv",
    "FSD50K.ground_truth/eval.csv",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "FSD50K.dev_audio, FSD50K.eval_audio and FSD50K.ground_truth")
    parser.add_argument("--name", default="fsd50k", help="prefix of data dirs: NAME_train, ...")
    parser.add_argument(
        "--no_voice",
        action="store_true",
        help="leave out clips labelled Human_voice: as noise over speech they are a second talker",
    )


def prepare(
    out: Path,
    *,
    root: Path,
    name: str = "fsd50k",
    no_voice: bool = False,
    copy: bool = False,
    skip_bad: bool = False,
) -> list[Path]:
    """Write OUT/NAME_{train,dev,test}; ``utt2group`` is the first, most specific label.

    Raises:
        UserError: ``root`` is not FSD50K.
        DataDirError: a table lacks a column or has another split, or a clip's name cannot be a
            file name.
        AudioError: as for ``write_recordings``.
    """
    check_root(root, "FSD50K", HOLDS)
    parts = {}
    recordings = []
    for half, columns in COLUMNS.items():
        table = root / f"FSD50K.ground_truth/{half}.csv"
        for line, row in read_rows(table, columns):
            labels = row["labels"].split(",")
            if no_voice and "Human_voice" in labels:
                continue
            path = inside(root / f"FSD50K.{half}_audio", f"{row['fname']}.wav", table)
            if half == "dev" and row["split"] not in OFFICIAL:
                raise DataDirError(f"{table}:{line}: split {row['split']!r} is not train or val")
            parts[row["fname"]] = "test" if half == "eval" else OFFICIAL[row["split"]]
            recordings.append(Recording(row["fname"], path, {"utt2group": labels[0]}))
    return write_parts(out / name, recordings, lambda r: parts[r.id], copy=copy, skip_bad=skip_bad)
