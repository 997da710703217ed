"""Replace a directory by a new one that appears whole or not at all."""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from espnet_robust.common.errors import DataDirError
from espnet_robust.common.files import sync, sync_tree, temporary_beside

LEFT_S = 7 * 24 * 3600.0


class replacing_dir:
    """Context manager: a temporary directory that replaces ``path`` on success.

    On an exception it is removed and ``path`` stays as it was.

    Raises:
        DataDirError: ``path`` exists and is neither empty nor a data dir; or the disk is full.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.temporary = temporary_beside(self.path)

    def __enter__(self) -> Path:
        refuse_foreign(self.path)
        try:
            self.temporary.mkdir(parents=True)
        except OSError as e:
            raise DataDirError(f"{self.path}: cannot be made: {e.strerror}") from None
        return self.temporary

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            if error is None:
                sync_tree(self.temporary)
                replace_dir(self.temporary, self.path)
        finally:
            shutil.rmtree(self.temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise DataDirError(f"{self.path}: cannot be written: {error.strerror}") from None


def refuse_foreign(path: Path) -> None:
    """Raise DataDirError if ``path`` exists and is neither empty nor a data dir."""
    if not path.exists() or (path / "wav.scp").exists():
        return
    if not path.is_dir() or any(path.iterdir()):
        raise DataDirError(f"{path} exists and is not a data dir: remove it or choose another name")


def refuse_source(path: Path, sources: Iterable[str | Path]) -> None:
    """Raise DataDirError if ``path`` is one of the data dirs that are read to write it."""
    for source in sources:
        if Path(source).resolve() == path.resolve():
            raise DataDirError(f"{path}: cannot replace what it is made of; choose another name")


def replace_dir(new: Path, path: Path) -> None:
    """Rename the directory ``new`` to ``path``; the old ``path`` is deleted afterwards.

    The content of ``new`` must already be on the disk (``sync_tree``); its new name is on return.
    """
    old = temporary_beside(path, "old")
    if path.exists():
        os.rename(path, old)
    os.rename(new, path)
    sync([path.parent])
    shutil.rmtree(old, ignore_errors=True)
    _remove_left_overs(path)


def _remove_left_overs(path: Path) -> None:
    """Remove directories that killed processes left under temporary names of ``path``.

    Whether such a process still runs, perhaps on another host, cannot be told, so only those of a
    week ago are removed.
    """
    temporary = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]+\.(tmp|old)")
    for other in filter(lambda p: temporary.fullmatch(p.name), path.parent.iterdir()):
        with contextlib.suppress(OSError):  # another process removed it
            # Not the time of modification, which a renamed directory keeps.
            if other.stat().st_ctime <= time.time() - LEFT_S:
                shutil.rmtree(other, ignore_errors=True)
