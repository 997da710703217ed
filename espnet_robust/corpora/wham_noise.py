"""WHAM! noise: cafes, restaurants and bars, 82 hours, 16 kHz; CC BY-NC 4.0.

    {tr,cv,tt}/*.wav (two channels) and, optionally, metadata/noise_meta_{tr,cv,tt}.csv

Wichern et al., Interspeech 2019; wham.whisper.ai. The official split is kept. The first
channel is extracted, as in WHAM!'s own single-channel mixtures.
"""

import argparse
from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.corpora.layout import (
    Recording,
    add_root,
    check_root,
    find_audio,
    write_recordings,
)
from espnet_robust.corpora.rows import read_rows

OFFICIAL = {"tr": "train", "cv": "dev", "tt": "test"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "tr, cv and tt")
    parser.add_argument("--name", default="wham", help="prefix of data dirs: NAME_train, ...")


def prepare(
    out: Path, *, root: Path, name: str = "wham", copy: bool = False, skip_bad: bool = False
) -> list[Path]:
    """Write OUT/NAME_{train,dev,test}; the place ("Location ID") is in ``utt2group`` if known.

    Raises:
        UserError: ``root`` is not WHAM! noise, or a recording is missing from the metadata.
        AudioError: as for ``write_recordings``.
    """
    check_root(root, "WHAM! noise", list(OFFICIAL))
    dirs = {out / f"{name}_{part}": _read(root, directory) for directory, part in OFFICIAL.items()}
    return write_recordings(dirs, copy=copy, skip_bad=skip_bad)


def _read(root: Path, directory: str) -> list[Recording]:
    files = find_audio(root / directory)
    metadata = root / "metadata" / f"noise_meta_{directory}.csv"
    if not metadata.exists():
        return [Recording(path.stem, path) for path in files]
    # utterance_id is written with the suffix in some releases and without in others.
    places = {
        row["utterance_id"].removesuffix(".wav"): row["Location ID"]
        for _, row in read_rows(metadata, ("utterance_id", "Location ID"))
    }
    if unknown := [path for path in files if path.stem not in places]:
        raise UserError(f"{metadata}: no entry for {unknown[0].name}")
    return [
        Recording(path.stem, path, {"utt2group": f"place{places[path.stem]}"}) for path in files
    ]
