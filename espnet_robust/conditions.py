"""Test sets whose conditions were recorded rather than made: real noise, several microphones."""

import json
from pathlib import Path

from espnet_robust.data_dir import subset_data_dir, validate_data_dir
from espnet_robust.files import write_atomic


def split_conditions(
    src: str | Path, out_prefix: str, *, name: str, table: str = "utt2group"
) -> list[Path]:
    """Write ``OUT_PREFIX_NAME_GROUP`` for every group of a test set: a condition each.

    Like a distorted copy, each has a ``condition.json``: {"name": "NAME_GROUP", "snr_db": null}.

    Args:
        table: of ``src``, utterance id -> group.

    Returns:
        The data dirs, by group.

    Raises:
        DataDirError: as of ``validate_data_dir``.
    """
    data = validate_data_dir(src, need=("wav.scp", "text", table))
    members: dict[str, list[str]] = {}
    for utt, group in data.tables[table].items():
        members.setdefault(group, []).append(utt)
    paths = []
    for group, ids in sorted(members.items()):
        condition = f"{name}_{group}"
        path = subset_data_dir(src, f"{out_prefix}_{condition}", ids=ids).path
        about = {"name": condition, "snr_db": None}
        write_atomic(path / "condition.json", json.dumps(about) + "\n")
        paths.append(path)
    return paths
