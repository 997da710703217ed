"""Files written so that a killed or failed run never leaves half of one behind; JSON read."""

import contextlib
import json
import os
from pathlib import Path

from espnet_robust.common.errors import UserError


def write_atomic(path: str | Path, data: bytes | str) -> None:
    """Write ``data`` (str as UTF-8) under a temporary name, then rename it to ``path``.

    Readers see the old file or the new one. The parent directory must exist.

    Raises:
        OSError: as ``open``, ``write`` (disk full) and ``rename`` raise it; nothing is left behind.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as f:
            f.write(data.encode("utf-8") if isinstance(data, str) else data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def read_json(path: str | Path) -> dict:
    """The object in a JSON file. Raises UserError where it is missing or something else."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as e:
        raise UserError(f"{path}: cannot be read: {e.strerror}") from e
    except ValueError as e:
        raise UserError(f"{path}: not JSON: {e}") from e
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content
