"""Writing files so that a killed or failed run never leaves half of one behind."""

import contextlib
import os
from pathlib import Path


def write_atomic(path: str | Path, data: bytes | str) -> None:
    """Write ``data`` (str as UTF-8) under a temporary name, then rename it to ``path``.

    Readers see the old file or the new one. The parent directory must exist.

    Raises:
        OSError: as of ``open``, ``write`` (disk full) and ``rename``; nothing is left behind.
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
