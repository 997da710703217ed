"""Make the files that ESPnet writes after an epoch all or nothing."""

import contextlib
import json
import os
from pathlib import Path

from espnet_robust.common.files import sync, write_atomic

CHECKPOINT = "checkpoint.pth"  # ESPnet's, with all that training needs to resume
BACKUP = "checkpoint.backup.pth"
LINKS = ".links.json"  # targets of ESPnet's links to the best models at the time of the backup


class Saving:
    """The files that one training writes between two epochs.

    ESPnet writes checkpoint, model and links one by one and in place, so a run killed meanwhile
    leaves some of them half written or from the epoch before. The earlier checkpoint and the link
    targets are kept until all new files are on the disk; a run that finds that backup repeats the
    epoch.

    Args:
        out: the training's output_dir.
    """

    def __init__(self, out: Path):
        self.out = out
        self.checkpoint = out / CHECKPOINT
        self.backup = out / BACKUP

    def begin(self) -> None:
        """Keep the current state; call it before anything is written."""
        write_atomic(self.out / LINKS, json.dumps(self._links()))
        if self.checkpoint.exists():
            os.replace(self.checkpoint, self.backup)
        else:
            self.backup.touch()  # empty: there was none
        sync([self.out])

    def end(self) -> None:
        """Drop the backup; call it after everything is written."""
        if not self.backup.exists():
            return
        files = (path for path in self.out.iterdir() if path.is_file() and not path.is_symlink())
        sync([*files, self.out])
        self.backup.unlink()
        (self.out / LINKS).unlink(missing_ok=True)

    def undo(self) -> None:
        """Restore the backup of an epoch whose files were not all written."""
        if not self.backup.exists():
            return
        # If it cannot be read, an older version wrote no links, or this undo was interrupted.
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
