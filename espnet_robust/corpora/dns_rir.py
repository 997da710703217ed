"""DNS-Challenge room impulse responses: OpenSLR 26 and 28; Apache 2.0.

    impulse_responses/SLR26/simulated_rirs_*/{small,medium,large}room/RoomNNN/*.wav
    impulse_responses/SLR28/RIRS_NOISES/...

Reddy et al., Interspeech 2020 and later; github.com/microsoft/DNS-Challenge. It has no official
split: rooms are divided by a hash of their names. Real responses have up to eight channels; the
first is extracted.
"""

import argparse
from pathlib import Path

from espnet_robust.corpora.layout import (
    Recording,
    add_root,
    add_shares,
    check_root,
    find_audio,
    share_of,
    write_parts,
)
from espnet_robust.corpora.rirs_noises import read_kind, simulated


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_root(parser, "impulse_responses")
    parser.add_argument("--name", default="dns_rir", help="prefix of data dirs: NAME_train, ...")
    add_shares(parser, "rooms")


def prepare(
    out: Path,
    *,
    root: Path,
    name: str = "dns_rir",
    dev_share: float = 0.05,
    test_share: float = 0.1,
    copy: bool = False,
    skip_bad: bool = False,
) -> list[Path]:
    """Write OUT/NAME_{train,dev,test} with the room in ``utt2group``.

    Raises:
        UserError: there are no DNS impulse responses in ``root``.
        AudioError: as for ``write_recordings``.
    """
    check_root(root, "the DNS Challenge's datasets", ["impulse_responses/SLR2[68]"])
    responses = root / "impulse_responses"
    recordings: list[Recording] = []
    if (responses / "SLR26").is_dir():
        recordings += [simulated(path) for path in find_audio(responses / "SLR26")]
    if (responses / "SLR28").is_dir():
        recordings += read_kind(responses / "SLR28/RIRS_NOISES", "real")
    return write_parts(
        out / name,
        recordings,
        lambda r: share_of(r.entries["utt2group"], dev_share, test_share),
        copy=copy,
        skip_bad=skip_bad,
    )
