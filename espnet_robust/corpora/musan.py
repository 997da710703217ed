"""MUSAN: music, speech and noise, 109 hours, for augmentation; CC BY 4.0 and public domain.

    {music,speech,noise}/SOURCE/*.wav

Snyder, Chen and Povey, arXiv:1510.08484; openslr.org/17. It has no official split: recordings
are divided by a hash of their names, so that training noise never appears in a test.
"""

import argparse
from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.corpora.layout import (
    Recording,
    add_root,
    add_shares,
    check_root,
    comma_list,
    find_audio,
    share_of,
    write_parts,
)

KINDS = ("music", "noise", "speech")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "music, noise and speech")
    parser.add_argument("--name", default="musan", help="prefix of data dirs: NAME_train, ...")
    parser.add_argument("--kinds", type=comma_list, default=KINDS, help="(default: all three)")
    add_shares(parser, "recordings")


def prepare(
    out: Path,
    *,
    root: Path,
    name: str = "musan",
    kinds: tuple[str, ...] = KINDS,
    dev_share: float = 0.05,
    test_share: float = 0.1,
    copy: bool = False,
    skip_bad: bool = False,
) -> list[Path]:
    """Write OUT/NAME_{train,dev,test} with "music", "noise" or "speech" in ``utt2group``.

    Raises:
        UserError: ``root`` is not MUSAN, or a kind is unknown.
        AudioError: as for ``write_recordings``.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise UserError(f"MUSAN has no {unknown[0]!r}; it has {', '.join(KINDS)}")
    check_root(root, "MUSAN", kinds)
    recordings = [
        Recording(path.stem, path, {"utt2group": kind})
        for kind in sorted(kinds)
        for path in find_audio(root / kind)
    ]
    return write_parts(
        out / name,
        recordings,
        lambda r: share_of(r.id, dev_share, test_share),
        copy=copy,
        skip_bad=skip_bad,
    )
