"""What ESPnet writes after an epoch, made all or nothing."""

import contextlib
import json
import os
from pathlib import Path

from espnet_robust.common.files import sync, write_atomic

CHECKPOINT = "checkpoint.pth"  # ESPnet's, of all that training needs to go on
BACKUP = "checkpoint.backup.pth"
LINKS = ".links.json"  # where ESPnet's links to the best models led when the backup was made


class Saving:
    """The files of one training, between two epochs.

    ESPnet writes checkpoint, model and links one by one in place, so that a run killed meanwhile
    leaves some of them half written or of the epoch before. The earlier checkpoint, and where the
    links led, are kept until all of them are there and on the disk; a run that finds it does the
    epoch again.

    Args:
        out: output_dir.
    """

    def __init__(self, out: Path):
        self.out = out
        self.checkpoint = out / CHECKPOINT
        self.backup = out / BACKUP

    def begin(self) -> None:
        """Before anything is written."""
        write_atomic(self.out / LINKS, json.dumps(self._links()))
        if self.checkpoint.exists():
            os.replace(self.checkpoint, self.backup)
        else:
            self.backup.touch()  # empty: there was none
        sync([self.out])

    def end(self) -> None:
        """All is written."""
        if not self.backup.exists():
            return
        files = (path for path in self.out.iterdir() if path.is_file() and not path.is_symlink())
        sync([*files, self.out])
        self.backup.unlink()
        (self.out / LINKS).unlink(missing_ok=True)

    def undo(self) -> None:
        """Take back what was not ended."""
        if not self.backup.exists():
            return
        # What cannot be read was written by a version without links, or is being taken back.
        with contextlib.suppress(OSError, ValueError):
            self._restore(json.loads((self.out / LINKS).read_text(encoding="utf-8")))
        if self.backup.stat().st_size:
            os.replace(self.backup, self.checkpoint)
        else:
            self.checkpoint.unlink(missing_ok=True)
            self.backup.unlink()
        (self.out / LINKS).unlink(missing_ok=True)
        sync([self.out])

    def _links(self) -> dict[str, str]:
        return {
            path.name: os.readlink(path)
            for path in sorted(self.out.glob("*.pth"))
            if path.is_symlink()
        }

    def _restore(self, links: dict[str, str]) -> None:
        for name in self._links():
            (self.out / name).unlink()
        for name, target in links.items():
            (self.out / name).symlink_to(target)
