"""DNS-Challenge noise: AudioSet, Freesound and DEMAND, 180 hours; CC BY 4.0, CC0, CC BY-SA 3.0.

    noise_fullband/*.wav (48 kHz) or, in earlier challenges, noise/*.wav (16 kHz)

Reddy et al., Interspeech 2020 and later; github.com/microsoft/DNS-Challenge. It has no official
split: recordings are divided by a hash of their names.
"""

import argparse
from pathlib import Path

from espnet_robust.corpora.layout import (
    Recording,
    add_root,
    add_shares,
    check_root,
    file_id,
    find_audio,
    share_of,
    write_parts,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "noise_fullband or noise")
    parser.add_argument("--name", default="dns_noise", help="prefix of data dirs: NAME_train, ...")
    add_shares(parser, "recordings")


def prepare(
    out: Path,
    *,
    root: Path,
    name: str = "dns_noise",
    dev_share: float = 0.05,
    test_share: float = 0.1,
    copy: bool = False,
    skip_bad: bool = False,
) -> list[Path]:
    """Write OUT/NAME_{train,dev,test}, without groups.

    Raises:
        UserError: there is no DNS noise in ``root``.
        AudioError: as for ``write_recordings``.
    """
    directory = "noise_fullband" if (root / "noise_fullband").is_dir() else "noise"
    check_root(root, "the DNS Challenge's datasets", [directory])
    recordings = [
        Recording(file_id(path, root / directory), path) for path in find_audio(root / directory)
    ]
    return write_parts(
        out / name,
        recordings,
        lambda r: share_of(r.id, dev_share, test_share),
        copy=copy,
        skip_bad=skip_bad,
    )
