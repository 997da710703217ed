"""How well the domain can be read from a student: from the curves of its distillation."""

import csv
from pathlib import Path

from espnet_robust.common.errors import UserError

PROBES = ("domain_probe", "domain_probe_deviation")


def read_probe(experiment: Path, probe: str) -> float | None:
    """One of PROBES on the development data, of the epoch with the lowest distillation loss.

    Args:
        experiment: directory of the system and seed, with ``distill/``.

    Returns:
        Balanced accuracy, 0..1; None if nothing was distilled here, or not probed.

    Raises:
        UserError: ``curves.csv`` is damaged.
    """
    path = experiment / "distill/curves.csv"
    if not path.is_file():
        return None
    with open(path, encoding="utf-8", newline="") as f:
        rows = [row for row in csv.DictReader(f) if row.get("split") == "valid"]
    try:
        best = min(rows, key=lambda row: float(row["distill"]), default={})
        return float(best[probe]) if best.get(probe) else None
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path}: damaged; distil again (stage 5 with --redo true)") from None
