"""Replace a directory by a new one that appears whole or not at all."""

import os
import shutil
from pathlib import Path

from espnet_robust.common.errors import DataDirError
from espnet_robust.common.files import sync, sync_tree


class replacing_dir:
    """Context manager: a temporary directory that replaces ``path`` on success.

    On an exception it is removed and ``path`` stays as it was.

    Raises:
        DataDirError: ``path`` exists and is neither empty nor a data dir; or the disk is full.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")

    def __enter__(self) -> Path:
        refuse_foreign(self.path)
        # One that was killed may have had our process id, as in containers they often do.
        shutil.rmtree(self.temporary, ignore_errors=True)
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


def replace_dir(new: Path, path: Path) -> None:
    """Rename the directory ``new`` to ``path``; the old ``path`` is deleted afterwards.

    The content of ``new`` must already be on the disk (``sync_tree``); its new name is on return.
    """
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)  # left by one that was killed
        os.rename(path, old)
    os.rename(new, path)
    sync([path.parent])
    shutil.rmtree(old, ignore_errors=True)
