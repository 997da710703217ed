"""Room impulse responses in one directory per room: ROOM/*.wav or *.flac.

Rooms are selected by name, so that training and test can have different ones, or are divided by
``--split`` among NAME_train, NAME_dev and NAME_test. Each room is a sampling group, so a room with
many positions is drawn as often as a room with one.
"""

import argparse
from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.corpora.layout import (
    Recording,
    add_root,
    comma_list,
    deal,
    file_id,
    find_audio,
    visible,
    write_parts,
    write_recordings,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "one directory per room")
    parser.add_argument("--name", required=True, help="name of the data dir, such as rir_train")
    parser.add_argument("--groups", type=comma_list, help="rooms to take (default: all)")
    parser.add_argument("--split", action="store_true", help="split into training, dev and test")


def prepare(
    out: Path,
    *,
    root: Path,
    name: str,
    groups: tuple[str, ...] | None = None,
    split: bool = False,
    copy: bool = False,
    skip_bad: bool = False,
) -> list[Path]:
    """Write OUT/NAME, or its three parts, with the room in ``utt2group``.

    Raises:
        UserError: no such directory, no rooms in it, or a named room is missing.
        AudioError: as for ``write_recordings``; also if a file is silent.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such directory; --root must contain one directory per room")
    rooms = {p.name: p for p in visible(root) if p.is_dir()}
    if not rooms:
        raise UserError(f"{root}: has no directories; it must contain one per room")
    if unknown := [room for room in groups or () if room not in rooms]:
        raise UserError(f"{root}: no room {unknown[0]!r} in it; there are {', '.join(rooms)}")
    recordings = [
        Recording(file_id(path, root), path, {"utt2group": "_".join(room.split())})
        for room in groups or rooms
        for path in find_audio(rooms[room])
    ]
    if split:
        part = deal(groups or rooms)
        of_room = {"_".join(room.split()): name for room, name in part.items()}
        return write_parts(
            out / name, recordings, lambda r: of_room[r.entries["utt2group"]],
            copy=copy, skip_bad=skip_bad, allow_silent=False,
        )  # fmt: skip
    return write_recordings(
        {out / name: recordings}, copy=copy, skip_bad=skip_bad, allow_silent=False
    )
