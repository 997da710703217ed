"""ESC-50 and ESC-10: five-second environmental sounds in five folds; CC BY-NC, ESC-10 CC BY.

Either as published (audio/FOLD-*.wav, meta/esc50.csv) or sorted into foldN/CLASS/*. Clips from one
original recording are in one fold, so a fold is never divided between parts.

Piczak, ACM Multimedia 2015; github.com/karolpiczak/ESC-50.
"""

import argparse
import re
from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.corpora.layout import (
    PARTS,
    Recording,
    add_root,
    check_root,
    comma_list,
    file_id,
    find_audio,
    inside,
    visible,
    write_parts,
)
from espnet_robust.corpora.rows import read_rows

# As ESC-50 names the classes, and as ESC-10 named them when it was published by itself.
ESC10 = frozenset(
    {"dog", "rain", "sea_waves", "crying_baby", "clock_tick", "sneezing", "helicopter"}
    | {"chainsaw", "rooster", "crackling_fire"}
    | {"dog_bark", "baby_cry", "person_sneeze", "fire_crackling"}
)
FOLDS = {"train": ("1", "2", "3"), "dev": ("4",), "test": ("5",)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "meta/esc50.csv, or fold1 ... fold5")
    parser.add_argument("--name", default="noise", help="prefix of data dirs: NAME_train, ...")
    for part in PARTS:
        default = ",".join(FOLDS[part])
        parser.add_argument(
            f"--{part}_folds", type=comma_list, default=FOLDS[part], help=f"(default: {default})"
        )
    parser.add_argument("--esc10", action="store_true", help="only the ten classes of ESC-10")


def prepare(
    out: Path,
    *,
    root: Path,
    name: str = "noise",
    train_folds: tuple[str, ...] = FOLDS["train"],
    dev_folds: tuple[str, ...] = FOLDS["dev"],
    test_folds: tuple[str, ...] = FOLDS["test"],
    esc10: bool = False,
    copy: bool = False,
    skip_bad: bool = False,
) -> list[Path]:
    """Write OUT/NAME_{train,dev,test} with the class in ``utt2group``.

    Raises:
        UserError: ``root`` is not ESC, a fold is in two parts or missing, or a fold directory has
            no class of ESC-10 although only these are wanted.
        DataDirError: meta/esc50.csv lacks a column.
        AudioError: as for ``write_recordings``; also if a clip of meta/esc50.csv is missing.
    """
    wanted = {"train": train_folds, "dev": dev_folds, "test": test_folds}
    part_of: dict[str, str] = {}
    for part, folds in wanted.items():
        for fold in folds:
            if fold in part_of:
                raise UserError(f"fold {fold} is in both {part_of[fold]} and {part}")
            part_of[fold] = part
    read = _read_folds if visible(root, "fold*") else _read_published
    clips = read(root, esc10)
    for fold in part_of:
        if fold not in clips:
            raise UserError(f"{root}: no fold {fold} in it; there are {', '.join(sorted(clips))}")
    fold_of = {clip.id: fold for fold, members in clips.items() for clip in members}
    return write_parts(
        out / name,
        [clip for fold in sorted(part_of) for clip in clips[fold]],
        lambda clip: part_of[fold_of[clip.id]],
        copy=copy,
        skip_bad=skip_bad,
    )


def _read_published(root: Path, esc10: bool) -> dict[str, list[Recording]]:
    check_root(root, "ESC-50", ["meta/esc50.csv", "audio/*.wav"])
    clips: dict[str, list[Recording]] = {}
    table = root / "meta/esc50.csv"
    for _, row in read_rows(table, ("filename", "fold", "category", *["esc10"] * esc10)):
        if not esc10 or row["esc10"] == "True":
            path = inside(root / "audio", row["filename"], table)
            clip = Recording(path.stem, path, {"utt2group": row["category"]})
            clips.setdefault(row["fold"], []).append(clip)
    return clips


def _read_folds(root: Path, esc10: bool) -> dict[str, list[Recording]]:
    clips = {}
    for fold in (p for p in visible(root, "fold*") if p.is_dir()):
        paths = find_audio(fold, "*/*")
        if esc10:
            paths = [path for path in paths if _plain(path.parent.name) in ESC10]
            if not paths:
                raise UserError(
                    f"{fold}: no directory of a class of ESC-10 in it, such as rain or sea_waves;"
                    " name the directories as ESC-50 does, or leave out --esc10"
                )
        clips[fold.name.removeprefix("fold")] = [
            Recording(file_id(path, fold), path, {"utt2group": path.parent.name}) for path in paths
        ]
    return clips


def _plain(name: str) -> str:
    """The class that a directory is named after.

    >>> _plain("001 - Dog bark"), _plain("sea-waves")
    ('dog_bark', 'sea_waves')
    """
    return "_".join(re.findall("[a-z]+", name.lower()))
