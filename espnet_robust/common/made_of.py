"""What an output was made of: digests, stored with it and compared before it is used again."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import read_json

KEY = "made_of"


def digest(path: str | Path) -> str | None:
    """SHA-256 of a file in hex; None where there is none."""
    try:
        with open(path, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def is_current(record: Path, made_of: Mapping[str, Any]) -> bool:
    """Whether the JSON file that an output comes with says that it was made of just this."""
    try:
        return read_json(record).get(KEY) == made_of
    except UserError:
        return False
