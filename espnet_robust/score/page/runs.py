"""The configuration of each run, from the ``made_of.json`` files of its outputs."""

import re
from typing import Any

import yaml

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import read_json
from espnet_robust.common.made_of import FILE
from espnet_robust.score.reading import Run

_DIGEST = re.compile(r"[0-9a-f]{16}|[0-9a-f]{64}|missing")


def read_run(run: Run) -> list[dict[str, str]]:
    """The outputs behind a ``scores.json``, in the order of their names.

    Returns:
        for each ``DIR/made_of.json`` of the run: ``name``, ``commit`` and, as YAML, ``config``:
        the inputs that decided it, without digests.
    """
    below = run.experiment
    found = []
    for path in [*sorted(below.glob(f"*/{FILE}")), *sorted(below.glob(f"decode/*/{FILE}"))]:
        try:
            record = read_json(path)
        except UserError:
            continue  # the page works without a damaged record
        decided = _without_digests(record.get("made_of"))
        shown = yaml.safe_dump(decided, sort_keys=False, allow_unicode=True) if decided else ""
        name = path.parent.relative_to(below).as_posix()
        found.append({"name": name, "commit": str(record.get("commit") or ""), "config": shown})
    return found


def _without_digests(value: Any) -> Any:
    """The record without digests, and without entries that are then empty."""
    if not isinstance(value, dict):
        return value
    kept = {key: _without_digests(item) for key, item in value.items() if not _is_digest(item)}
    return {key: item for key, item in kept.items() if item != {}}


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and bool(_DIGEST.fullmatch(value))
