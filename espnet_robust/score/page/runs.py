"""What each run was trained with: the ``made_of.json`` files beside its scores."""

import re
from pathlib import Path
from typing import Any

import yaml

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import read_json
from espnet_robust.common.made_of import FILE

_DIGEST = re.compile(r"[0-9a-f]{64}|missing")


def read_run(directory: Path) -> list[dict[str, str]]:
    """The outputs behind a ``scores.json``, in the order of their names.

    Args:
        directory: the one with ``scores.json``.

    Returns:
        for each ``DIR/made_of.json`` below: ``name``, ``commit`` and, as YAML, ``config``: what
        decided it, digests of files left out.
    """
    found = []
    for path in [*sorted(directory.glob(f"*/{FILE}")), *sorted(directory.glob(f"decode/*/{FILE}"))]:
        try:
            record = read_json(path)
        except UserError:
            continue  # a damaged record is no reason to have no page
        decided = _without_digests(record.get("made_of"))
        shown = yaml.safe_dump(decided, sort_keys=False, allow_unicode=True) if decided else ""
        name = path.parent.relative_to(directory).as_posix()
        found.append({"name": name, "commit": str(record.get("commit") or ""), "config": shown})
    return found


def _without_digests(value: Any) -> Any:
    """The record without SHA-256s, and without what then is empty."""
    if not isinstance(value, dict):
        return value
    kept = {key: _without_digests(item) for key, item in value.items() if not _is_digest(item)}
    return {key: item for key, item in kept.items() if item != {}}


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and bool(_DIGEST.fullmatch(value))
