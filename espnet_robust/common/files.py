"""Write files that are whole or absent after a kill, an error or a power failure; read JSON."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from espnet_robust.common.errors import UserError

SYNCING = 16  # files at a time: one write of the file system's journal serves all of them


def temporary_beside(path: str | Path, kind: str = "tmp") -> Path:
    """A hidden name in the directory of ``path`` that no other process uses, on any host.

    A process id would not do: hosts and containers that share a file system may have equal ones.
    """
    path = Path(path)
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.{kind}")


def write_atomic(path: str | Path, data: bytes | str, *, durable: bool = True) -> None:
    """Write ``data`` (str as UTF-8) under a temporary name, then rename it to ``path``.

    Readers see the old file or the new one. The parent directory must exist.

    Args:
        durable: whether the file must be on the disk, safe from a power failure, on return. Pass
            False to write many files and call ``sync`` afterwards.

    Raises:
        OSError: from ``open``, ``write`` (disk full) or ``rename``; nothing is left behind.
    """
    path = Path(path)
    temporary = temporary_beside(path)
    try:
        with open(temporary, "xb") as f:  # unlike mkstemp, with the permissions that umask allows
            f.write(data.encode("utf-8") if isinstance(data, str) else data)
            if durable:
                f.flush()
                os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        sync([path.parent])


def sync(paths: Iterable[str | Path]) -> None:
    """Return when the content of these files and the names in these directories are on the disk.

    Raises:
        OSError: one of them is missing, or the disk could not store it (full, failing).
    """
    paths = list(paths)
    if len(paths) < 2:
        list(map(_sync, paths))
        return
    with ThreadPoolExecutor(min(SYNCING, len(paths))) as pool:
        list(pool.map(_sync, paths))


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(directory: Path) -> None:
    """``sync`` a directory and everything in it; symbolic links are not followed."""
    for folder, _, names in os.walk(directory):
        files = [path for name in names if not (path := Path(folder, name)).is_symlink()]
        sync([*files, folder])


def read_json(path: str | Path) -> dict:
    """The object in a JSON file. Raises UserError if it is missing or not a JSON object."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as e:
        raise UserError(f"{path}: cannot be read: {e.strerror}") from e
    except ValueError as e:
        raise UserError(f"{path}: not JSON: {e}") from e
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content
