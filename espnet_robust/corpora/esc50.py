"""ESC-50 and ESC-10: five-second environmental sounds in five folds; CC BY-NC, ESC-10 CC BY.

Either as published (audio/FOLD-*.wav, meta/esc50.csv) or sorted into foldN/CLASS/*. Clips from one
original recording are in one fold, so a fold is never divided between parts.

Piczak, ACM Multimedia 2015; github.com/karolpiczak/ESC-50.
"""

import argparse
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
        UserError: ``root`` is not ESC, or a fold is in two parts or missing.
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
    clips = _read_folds(root) if visible(root, "fold*") else _read_published(root, esc10)
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


def _read_folds(root: Path) -> dict[str, list[Recording]]:
    clips = {}
    for fold in (p for p in visible(root, "fold*") if p.is_dir()):
        clips[fold.name.removeprefix("fold")] = [
            Recording(file_id(path, fold), path, {"utt2group": path.parent.name})
            for path in find_audio(fold, "*/*")
        ]
    return clips
