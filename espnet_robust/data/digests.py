"""Digests of a data dir: they change when its audio or its tables change.

Audio is identified by its content, wherever it lies. Reading all of it takes minutes for a large
corpus, so ``.NAME.audio`` beside the data dir stores the digest of each file with its size and
modification time; a file is read again if either differs.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from espnet_robust.common.errors import DataDirError
from espnet_robust.common.files import write_atomic
from espnet_robust.common.made_of import sha256
from espnet_robust.data.data_dir import iter_table, table_names

AUDIO = "audio"
_MISSING = "missing"  # reported by whoever reads the audio
_THREADS = 4  # hashing releases Python's lock
# Tables that say how utterances are cut from the audio and how long they are.
OF_AUDIO = ("segments", "utt2num_samples")
OF_NOISE = (*OF_AUDIO, "utt2group")  # all that is read from noises, rooms and babble voices
OF_ROOMS = (*OF_NOISE, "utt2rt60")  # of rooms that are drawn by their reverberation time


def digests(
    data_dir: str | Path, tables: Iterable[str] | None = None, *, read_again: bool = False
) -> dict[str, str]:
    """{"audio": digest, table: digest, ...} of a data dir.

    Args:
        tables: the tables to include if they exist; None: all. ``wav.scp`` is left out, because
            the content of the files it names is in the digest of the audio.
        read_again: read all audio, whatever the sizes and times of its files.

    Raises:
        DataDirError: no such data dir, or its ``wav.scp`` is damaged.
    """
    data_dir = Path(data_dir)
    if not (data_dir / "wav.scp").is_file():
        raise DataDirError(f"{data_dir}: no wav.scp in it; has the stage that makes it been run?")
    names = table_names(data_dir) if tables is None else tables
    found = {AUDIO: audio_digest(data_dir, read_again=read_again)}
    for name in names:
        if name != "wav.scp" and (data_dir / name).is_file():
            found[name] = sha256(data_dir / name)
    return found


def audio_digest(data_dir: Path, *, read_again: bool = False) -> str:
    """SHA-256 over the recordings of ``wav.scp``: their ids, and the content of their files."""
    entries = (_file_of(entry) for _, entry in iter_table(data_dir / "wav.scp"))
    files = {file for file in entries if file is not None}
    content = _contents(data_dir, files, {} if read_again else _read_memory(data_dir))
    total = hashlib.sha256()
    for utt, entry in iter_table(data_dir / "wav.scp"):
        file = _file_of(entry)
        # For an ark, its offset too; for a command, the command itself.
        what = entry if file is None else f"{content[file]} {entry.removeprefix(file)}"
        total.update(f"{utt} {what}\n".encode())
    return total.hexdigest()


def listed_digest(table: Path) -> str:
    """SHA-256 over the files of an ESPnet ``noise_scp`` or ``rir_scp``, in order: FILE or ID FILE.

    Raises:
        DataDirError: the table cannot be read, or is not UTF-8 text.
    """
    try:
        text = table.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise DataDirError(f"{table}: cannot be read: {e}") from None
    files = [line.split(None, 1)[-1].rstrip() for line in text.splitlines() if line.strip()]
    content = _contents(table, set(files), _read_memory(table))
    return hashlib.sha256("\n".join(content[file] for file in files).encode()).hexdigest()


def _file_of(entry: str) -> str | None:
    """The file that an entry of ``wav.scp`` names; None for a command."""
    if entry.endswith("|"):
        return None
    ark, colon, offset = entry.rpartition(":")
    return ark if colon and offset.isdigit() and not Path(entry).exists() else entry


def _contents(
    source: Path, files: set[str], known: Mapping[tuple[str, str], str]
) -> dict[str, str]:
    """File -> digest of its content; new digests are stored beside ``source``."""
    states = {file: _state(file) for file in files}
    unread = sorted(file for file, state in states.items() if state and (file, state) not in known)
    with ThreadPoolExecutor(_THREADS) as pool:
        shown = tqdm(
            pool.map(_content, unread), total=len(unread), desc=f"reading {source}", delay=2
        )
        read = dict(zip(unread, shown, strict=True))
    found = {f: read.get(f) or known.get((f, s), _MISSING) for f, s in states.items()}
    if unread:
        lines = [f"{states[f]} {found[f]} {f}\n" for f in sorted(files) if states[f]]
        with contextlib.suppress(OSError):  # beside a read-only corpus nothing is stored
            write_atomic(_memory(source), "".join(lines))
    return found


def _state(file: str) -> str:
    try:
        about = Path(file).stat()
    except OSError:
        return ""
    return f"{about.st_size} {about.st_mtime_ns}"


def _content(file: str) -> str:
    try:
        with open(file, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError:
        return _MISSING


def _memory(data_dir: Path) -> Path:
    path = data_dir.resolve()  # "." has no name
    return path.with_name(f".{path.name}.audio")


def _read_memory(data_dir: Path) -> dict[tuple[str, str], str]:
    """(file, "SIZE TIME") -> digest; damaged lines are skipped."""
    known = {}
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in _memory(data_dir).read_text(encoding="utf-8").splitlines():
            size, _, rest = line.partition(" ")
            time, _, rest = rest.partition(" ")
            digest, _, file = rest.partition(" ")
            if len(digest) == 64 and file:
                known[file, f"{size} {time}"] = digest
    return known
