"""What an output was made of: stored with it, and compared before the output is reused.

Every output of a recipe is a directory with ``made_of.json``::

    {"made_of": {...}, "gives": {"wer.md": "SHA-256", ...}, "done": true, "commit": "1a2b3c4"}

``made_of`` holds everything that decides the output: options, and digests of the data, models and
tables it was made from, including the outputs of the stage before. An output made of something else
is made again if that takes seconds, and refused otherwise. The commit is only recorded: a different
one is reported, not acted on.
"""

import functools
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import Any

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import read_json, sync, temporary_beside, write_atomic
from espnet_robust.common.shipped import conf_dir

FILE = "made_of.json"
STUDENT_FILES = ("config.yaml", "model.safetensors")  # what later stages read of a student
_SHOWN = 3  # changes that a message names
_KEYS = ("config ", "options ")  # nested keys of these are shown as on a command line
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Output:
    """An output, and what it would be made of now.

    Args:
        path: its directory.
        made_of: nested, can be written as JSON; messages show its names.
    """

    path: Path
    made_of: Mapping[str, Any]

    def changes(self) -> list[str]:
        """What has changed since the output was made; [] if nothing. ``damage`` finds lost files.

        An unfinished output is compared too, since it can be resumed.
        """
        record = _read(self.path)
        if record is None:
            return ["it does not say what it was made of"] if self.exists() else ["it is not there"]
        return difference(record.get("made_of"), self.made_of)

    def exists(self) -> bool:
        """Whether there is an output, finished or not."""
        return self.path.is_dir() and any(self.path.iterdir())

    def is_done(self) -> bool:
        """Whether it is finished, undamaged, and made of exactly this."""
        record = _read(self.path) or {}
        return bool(record.get("done")) and not self.changes() and not damage(self.path)

    def begin(self) -> None:
        """Record what it is made of, before any of it is written.

        The directory appears with its record: other nodes of a training may be looking.
        """
        if self.path.exists():
            self._write({}, done=False)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = temporary_beside(self.path)
        new.mkdir()
        try:
            replace(self, path=new)._write({}, done=False)
            new.rename(self.path)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        sync([self.path.parent])

    def finish(self, files: Iterable[str]) -> None:
        """Record that it is finished.

        Args:
            files: the files in its directory that later stages read.
        """
        self._write({name: sha256(self.path / name) for name in files}, done=True)

    def remove(self) -> None:
        """Delete it."""
        shutil.rmtree(self.path)

    def _write(self, gives: Mapping[str, str], done: bool) -> None:
        record = {"made_of": self.made_of, "gives": gives, "done": done, "commit": commit()}
        write_atomic(self.path / FILE, json.dumps(record, indent=1) + "\n")


def damage(path: Path) -> str:
    """The first file of a finished output that is missing or altered, as a message; "" if none."""
    for name, digest in gives(path).items():
        if not (path / name).is_file():
            return f"{name} is missing"
        if sha256(path / name) != digest:
            return f"{name} was changed after it was written"
    return ""


def gives(path: Path) -> dict[str, str]:
    """{file: SHA-256} of the files that later stages read; {} if the output is not finished."""
    return dict((_read(path) or {}).get("gives") or {})


def made_by(path: Path) -> str:
    """The commit that made an output; "" if unknown."""
    return str((_read(path) or {}).get("commit") or "")


def difference(old: Any, new: Any) -> list[str]:
    """The differences between two records, one line each.

    >>> difference({"config": {"lr": 1}, "seed": 0}, {"config": {"lr": 2}, "seed": 0})
    ['config lr: 1 -> 2']
    """
    was, is_now = (dict(_flat(_plain(record))) for record in (old, new))
    lines = []
    for key in [*was, *(key for key in is_now if key not in was)]:
        if key not in is_now:
            lines.append(f"{key} is gone")
        elif key not in was:
            lines.append(f"{key} is new")
        elif was[key] != is_now[key]:
            values = (was[key], is_now[key])
            before, after = (_shown(value) for value in values)
            lines.append(f"{key} changed" if before == after else f"{key}: {before} -> {after}")
    return lines


def summary(changes: list[str]) -> str:
    """The first of the changes.

    >>> summary(["a", "b", "c", "d", "e"])
    'a; b; c; and 2 more'
    """
    rest = len(changes) - _SHOWN
    return "; ".join([*changes[:_SHOWN], *([f"and {rest} more"] if rest > 0 else [])])


def sha256(path: str | Path) -> str:
    """SHA-256 of a file in hex; "missing" if there is none."""
    try:
        about = Path(path).stat()
        return _sha256(str(path), about.st_size, about.st_mtime_ns)
    except FileNotFoundError:
        return "missing"
    except OSError as e:
        raise UserError(f"{path}: cannot be read: {e.strerror}") from e


@functools.cache
def _sha256(path: str, size: int, time: int) -> str:
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


@functools.cache
def commit() -> str:
    """The commit of this code, with ``-changed`` if files differ from it; "" outside a checkout."""
    root = conf_dir().parent
    if not (root / ".git").exists():
        return ""
    git = ["git", "-C", str(root)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        code = ["espnet_robust", "conf", "egs/TEMPLATE"]
        changed = subprocess.run(
            [*git, "diff", "--quiet", "HEAD", "--", *code], capture_output=True, check=False
        ).returncode
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head + ("-changed" if changed else "")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return read_json(path / FILE)
    except UserError:
        return None


def _plain(record: Any) -> Any:
    """A record as it is after a round trip through JSON."""
    return json.loads(json.dumps(record, default=str))


def _shown(value: Any) -> str:
    """A value as a message shows it; "" for a digest."""
    digest = isinstance(value, str) and _SHA256.fullmatch(value)
    return "" if digest else shorten(str(value), 60, placeholder=" ...")


def _flat(record: Any, name: str = "") -> Iterable[tuple[str, Any]]:
    if not isinstance(record, dict):
        yield name, record
        return
    for key, value in record.items():
        separator = "." if name.startswith(_KEYS) else " "
        yield from _flat(value, f"{name}{separator}{key}" if name else str(key))
