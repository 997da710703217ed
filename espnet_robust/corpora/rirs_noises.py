"""RIRS_NOISES (OpenSLR 28): real and simulated rooms, point-source and isotropic noise; Apache 2.0.

    real_rirs_isotropic_noises/*.wav  simulated_rirs/{small,medium,large}room/RoomNNN/*.wav
    pointsource_noises/*.wav

Ko et al., ICASSP 2017; openslr.org/28. It has no official split: rooms (for noise, recordings)
are divided by a hash of their names. Real responses and isotropic noises have up to eight
channels; the first is extracted, so that a response and the noise of its room stay one microphone.
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from espnet_robust.corpora.layout import (
    Recording,
    add_root,
    add_shares,
    check_root,
    find_audio,
    read_text,
    share_of,
    write_parts,
)

REAL = "real_rirs_isotropic_noises"
SIMULATED = "simulated_rirs"
POINT = "pointsource_noises"
KINDS = {"real": REAL, "simulated": SIMULATED, "isotropic": REAL, "point": POINT}

# The room within a file name from the REVERB challenge, RWCP (type 4 is one room; the numbers are
# angles of a dummy head) and AIR. It overrides the published rir_list and noise_list, whose
# --room-id and --room-linkage treat each position in a hall of AIR, and each angle of RWCP's type
# 4, as a room: one hall would be in both training and test, and be drawn eleven times as often.
ROOM = re.compile(
    r"(RVB2014)_type\d_(?:rir|noise)_([a-z]+\d)"
    r"|(RWCP)_(type4)_(?:rir|noise)_"
    r"|(RWCP)_type\d_(?:rir|noise)_(?:cirline_|circle_)?([a-z][a-z0-9]*)"
    r"|(air)_type\d_air_(?:binaural|phone_bt|phone)_([a-z_]+?\d?)(?:_\d|_hhp|_hfrp|$)",
    re.IGNORECASE,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, ", ".join((REAL, SIMULATED, POINT)))
    parser.add_argument("--kind", choices=sorted(KINDS), required=True)
    parser.add_argument("--name", help="prefix of data dirs: NAME_train, ... (default: rirs_KIND)")
    add_shares(parser, "rooms or noises")


def prepare(
    out: Path,
    *,
    root: Path,
    kind: str,
    name: str | None = None,
    dev_share: float = 0.05,
    test_share: float = 0.1,
    copy: bool = False,
    skip_bad: bool = False,
) -> list[Path]:
    """Write OUT/NAME_{train,dev,test}; the room is in ``utt2group`` (not for point noises).

    Raises:
        UserError: ``root`` is not RIRS_NOISES.
        AudioError: as for ``write_recordings``.
    """
    check_root(root, "RIRS_NOISES", [KINDS[kind]])
    recordings = read_kind(root, kind)
    return write_parts(
        out / (name or f"rirs_{kind}"),
        recordings,
        lambda r: share_of(r.entries.get("utt2group", r.id), dev_share, test_share),
        copy=copy,
        skip_bad=skip_bad,
    )


def read_kind(root: Path, kind: str) -> list[Recording]:
    """The recordings of a kind, grouped by room if there is one."""
    files = find_audio(root / KINDS[kind])
    if kind == "point":
        return [Recording(path.stem, path) for path in files]
    if kind == "simulated":
        return [simulated(path) for path in files]
    listed = _listed_rooms(root / REAL)
    return [
        Recording(path.stem, path, {"utt2group": room_of(path.stem, listed)})
        for path in files
        if ("_noise_" in path.stem) == (kind == "isotropic")
    ]


def simulated(path: Path) -> Recording:
    """.../smallroom/Room001/Room001-00001.wav; the three sizes have rooms of the same names."""
    room = f"{path.parent.parent.name}-{path.parent.name}"
    return Recording(f"{room}-{path.stem.rpartition('-')[2]}", path, {"utt2group": room})


def room_of(name: str, listed: Mapping[str, str] = MappingProxyType({})) -> str:
    """The room of a response or noise; its own name if the room is unknown.

    Args:
        listed: name -> room from the published lists, for names of unknown form.

    >>> room_of("RVB2014_type1_rir_largeroom1_far_angla")
    'RVB2014_largeroom1'
    >>> room_of("air_type1_air_binaural_aula_carolina_1_3_90_3")
    'air_aula_carolina'
    """
    match = ROOM.match(name)
    return "_".join(filter(None, match.groups())) if match else listed.get(name, name)


def _listed_rooms(directory: Path) -> dict[str, str]:
    """Name -> room, from "... --room-id X ... PATH" in rir_list and "... --room-linkage X ... PATH"
    in noise_list."""
    rooms = {}
    for name in ("rir_list", "noise_list"):
        if (directory / name).exists():
            for line in read_text(directory / name).splitlines():
                words = line.split()
                for option in ("--room-id", "--room-linkage"):
                    if option in words[:-2]:
                        rooms[Path(words[-1]).stem] = words[words.index(option) + 1]
    return rooms
