"""Any folder of audio files, as noise or as material for augmentation.

Files are found at any depth. ``--group_by parent`` makes a file's directory its sampling group
(``utt2group``), ``top`` the directory just below the root; ``none`` writes no groups. ``--split``
divides the files among NAME_train, NAME_dev and NAME_test, by a hash of their names.
"""

import argparse
from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.corpora.layout import (
    Recording,
    add_root,
    deal,
    file_id,
    find_audio,
    write_parts,
    write_recordings,
)

GROUP_BY = ("none", "parent", "top")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "audio files")
    parser.add_argument("--name", required=True, help="name of the data dir, such as noise_ood")
    parser.add_argument("--group_by", choices=GROUP_BY, default="none", help="(default: none)")
    parser.add_argument("--split", action="store_true", help="split into training, dev and test")


def prepare(
    out: Path,
    *,
    root: Path,
    name: str,
    group_by: str = "none",
    split: bool = False,
    copy: bool = False,
    skip_bad: bool = False,
) -> list[Path]:
    """Write OUT/NAME, or its three parts.

    Raises:
        UserError: no such directory, no audio in it, or a file outside any group.
        AudioError: as for ``write_recordings``; also if a file is silent.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such directory; --root is a folder with audio files")
    recordings = []
    for path in find_audio(root):
        directories = path.relative_to(root).parent.parts
        if group_by != "none" and not directories:
            raise UserError(f"{path}: not in a directory below {root}, so --group_by fails")
        group = {"parent": directories[-1:], "top": directories[:1]}.get(group_by, ())
        entries = {"utt2group": "_".join(group[0].split())} if group else {}
        recordings.append(Recording(file_id(path, root), path, entries))
    if split:
        part = deal(recording.id for recording in recordings)
        prefix = out / name
        return write_parts(
            prefix,
            recordings,
            lambda r: part[r.id],
            copy=copy,
            skip_bad=skip_bad,
            allow_silent=False,
        )
    return write_recordings(
        {out / name: recordings}, copy=copy, skip_bad=skip_bad, allow_silent=False
    )
