"""Shared by the published corpora: find the root, check every file, write data dirs."""

import argparse
import contextlib
import os
import shutil
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from espnet_robust.common.errors import AudioError, DataDirError, UserError
from espnet_robust.common.files import write_atomic
from espnet_robust.data.audio import RATE, AudioInfo, check_audio, read_channels, write_audio
from espnet_robust.data.data_dir import iter_table, write_data_dir

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".opus", ".aif", ".aiff"})
PARTS = ("train", "dev", "test")


class Recording(NamedTuple):
    """One audio file of a corpus.

    Args:
        id: the utterance id.
        path: the file.
        entries: table name -> entry, such as {"text": "HELLO", "utt2spk": "19"} or
            {"utt2group": "rain"}.
    """

    id: str
    path: Path
    entries: Mapping[str, str] = {}


def add_root(parser: argparse.ArgumentParser, holds: str) -> None:
    """Add the options of a corpus on disk; ``write_recordings`` takes the last two."""
    parser.add_argument("--root", type=Path, required=True, help=f"the directory with {holds}")
    parser.add_argument(
        "--copy",
        action="store_true",
        help="write 16 kHz mono FLAC files instead of referring to the corpus",
    )
    parser.add_argument(
        "--skip_bad",
        action="store_true",
        help="skip files that cannot be read instead of stopping",
    )


def visible(directory: Path, pattern: str = "*") -> list[Path]:
    """Paths below ``directory`` that match a glob pattern, sorted, without hidden ones.

    macOS leaves "._NAME" beside NAME and .DS_Store in directories; archives and network disks keep
    them. Every corpus finds its files with this function or ``find_audio``.
    """
    return sorted(
        path
        for path in directory.glob(pattern)
        if not any(part.startswith(".") for part in path.relative_to(directory).parts)
    )


def inside(root: Path, name: str, where: str | Path) -> Path:
    """``root / name``, for a name from one of the corpus's tables.

    Raises:
        DataDirError: it leads out of ``root``; the message begins with ``where``.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        raise DataDirError(f"{where}: {name!r} is not within {root}")
    return root / name


def comma_list(text: str) -> tuple[str, ...]:
    """ "a,b" -> ("a", "b"), for argparse."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def check_root(root: Path, name: str, holds: Sequence[str]) -> None:
    """Check that ``root`` is a corpus's directory.

    Args:
        name: what to call the corpus.
        holds: glob patterns; each must match something in the corpus's directory.

    Raises:
        UserError: it is not; the message names the right one if it is a level or two away.
    """
    expected = f"{name} is the directory that contains {', '.join(holds)}"
    if not root.is_dir():
        raise UserError(f"{root}: no such directory; {expected}")

    def right(directory: Path) -> bool:
        return all(visible(directory, pattern) for pattern in holds)

    if right(root):
        return
    for above in root.resolve().parents[:2]:
        if right(above):
            raise UserError(f"{root} is too deep: {expected}; use --root {above}")
    for below in visible(root):
        if below.is_dir() and right(below):
            raise UserError(f"{root} is one level too high: {expected}; use --root {below}")
    missing = next(pattern for pattern in holds if not visible(root, pattern))
    raise UserError(f"{root} is not {name}: no {missing} in it; {expected}")


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """The text of a file of lists or transcripts.

    Raises:
        DataDirError: it is missing, or in another encoding.
    """
    try:
        return path.read_text(encoding=encoding)
    except FileNotFoundError:
        raise DataDirError(f"{path}: no such file, although it is part of the corpus") from None
    except UnicodeDecodeError as e:
        raise DataDirError(f"{path}: not {encoding.upper()} text ({e.reason})") from None


def find_audio(root: Path, below: str | None = None) -> list[Path]:
    """Audio files under ``root``, by suffix, sorted.

    Args:
        below: a glob pattern that they match; None: all, at any depth, also where links lead.

    Raises:
        UserError: there are none.
    """
    paths = _visible_files(root) if below is None else visible(root, below)
    files = [f for f in paths if f.suffix.lower() in SUFFIXES and f.is_file()]
    if not files:
        raise UserError(f"{root}: no audio files in it ({', '.join(sorted(SUFFIXES))})")
    return files


def _visible_files(root: Path) -> list[Path]:
    """Files at any depth that are not hidden, sorted.

    A glob pattern with ``**`` leaves out what is in linked directories. This follows links, but
    visits each directory only once, and at its own place if ``root`` has that and a link to it.
    """
    found: list[Path] = []
    links = [root]
    seen = set(root.resolve().parents)  # a link to one of these would lead back here
    for link in links:  # which grows
        for folder, directories, files in os.walk(link):  # links within come later
            real = Path(folder).resolve()
            if real in seen:
                directories.clear()
                continue
            seen.add(real)
            directories[:] = sorted(name for name in directories if not name.startswith("."))
            inner = (Path(folder, name) for name in directories)
            links += [path for path in inner if path.is_symlink()]
            found += [Path(folder, name) for name in files if not name.startswith(".")]
    return sorted(found)


def file_id(path: Path, root: Path) -> str:
    """An utterance id from a path: "dog bark/1 a.wav" -> "dog_bark-1_a"."""
    words = path.relative_to(root).with_suffix("").parts
    return "-".join("_".join(word.split()) for word in words)


def share_of(key: str, dev: float, test: float) -> str:
    """ "train", "dev" or "test" for a recording or room of a corpus without an official split.

    It depends on a hash of the name only: a recording stays in its part whatever else there is.

    Raises:
        UserError: a share is not in [0, 1), or together they leave nothing for training.
    """
    if not (0 <= dev < 1 and 0 <= test < 1 and dev + test < 1):
        raise UserError(
            f"dev_share: {dev}, test_share: {test}: neither may be negative, and their sum must be"
            " below 1"
        )
    place = zlib.crc32(key.encode()) / 2**32
    if place < test:
        return "test"
    return "dev" if place < test + dev else "train"


def deal(keys: Iterable[str], dev: float = 0.1, test: float = 0.1) -> dict[str, str]:
    """Key -> "train", "dev" or "test", by a hash of its name; no part is empty.

    For a handful of recordings or rooms, where ``share_of`` might leave a part empty.

    Raises:
        UserError: fewer than three keys.
    """
    order = sorted(set(keys), key=lambda key: (zlib.crc32(key.encode()), key))
    if len(order) < len(PARTS):
        raise UserError(
            f"{', '.join(sorted(order)) or 'nothing'}: need three, for training, dev and test"
        )
    ends = {
        part: max(1, round(share * len(order))) for part, share in (("test", test), ("dev", dev))
    }
    parts = ["test"] * ends["test"] + ["dev"] * ends["dev"]
    return dict(zip(order, parts + ["train"] * (len(order) - len(parts)), strict=True))


def add_shares(parser: argparse.ArgumentParser, of: str) -> None:
    """Add the options of a corpus without an official split."""
    for part, share in (("dev", 0.05), ("test", 0.1)):
        parser.add_argument(
            f"--{part}_share",
            type=float,
            default=share,
            help=f"share of the {of} kept for {part}, chosen by name (default: {share})",
        )


def write_parts(
    prefix: Path,
    recordings: Iterable[Recording],
    part_of: Callable[[Recording], str],
    *,
    copy: bool = False,
    skip_bad: bool = False,
    allow_silent: bool = True,
) -> list[Path]:
    """Write those of PREFIX_train, PREFIX_dev and PREFIX_test that have recordings.

    One without recordings is removed if an earlier run, with another split, left recordings in it
    that are now in another part.
    """
    parts: dict[str, list[Recording]] = {part: [] for part in PARTS}
    for recording in recordings:
        parts[part_of(recording)].append(recording)
    dirs = {prefix.with_name(f"{prefix.name}_{part}"): rs for part, rs in parts.items()}
    filled = {path: rs for path, rs in dirs.items() if rs}
    made = write_recordings(filled, copy=copy, skip_bad=skip_bad, allow_silent=allow_silent)
    known = {recording.id for rs in filled.values() for recording in rs}
    for path in (path for path in dirs if path not in filled and (path / "wav.scp").is_file()):
        # A data dir of the same name that was made of something else stays.
        if not known.isdisjoint(utt for utt, _ in iter_table(path / "wav.scp")):
            print(f"{path}: removed: its recordings are now in other parts", file=sys.stderr)
            shutil.rmtree(path)
    return made


def write_recordings(
    dirs: Mapping[Path, Sequence[Recording]],
    *,
    copy: bool = False,
    skip_bad: bool = False,
    allow_silent: bool = True,
) -> list[Path]:
    """Check every file (``check_audio``), then write data dirs with utt2dur (s) and
    utt2num_samples (at 16 kHz).

    If a file has several channels, the first is extracted to ``DIR_audio``, as with ``copy``; again
    only if it is from another file, or that file has changed.

    Args:
        dirs: data dir -> its recordings.
        allow_silent: accept silent files.

    Raises:
        DataDirError: two files have the same id, or there are no files.
        AudioError: a file is missing, empty, of zero length, not audio, cut off, has NaN or
            infinite samples, or is silent and must not be.
    """
    for path, recordings in dirs.items():
        _check_ids(path, recordings)
    tables = {
        path: _check(path, recordings, copy, skip_bad, allow_silent)
        for path, recordings in dirs.items()
    }
    return [write_data_dir(path, tables[path]).path for path in dirs]


def _check_ids(path: Path, recordings: Sequence[Recording]) -> None:
    """Raise DataDirError for an id that occurs twice or that cannot be used as a file name."""
    seen: dict[str, Path] = {}
    for recording in recordings:
        if recording.id in seen:
            raise DataDirError(
                f"{path}: {seen[recording.id]} and {recording.path} share the id {recording.id}"
            )
        if "/" in recording.id or "\0" in recording.id or recording.id.startswith("."):
            raise DataDirError(
                f"{recording.path}: would get the utterance id {recording.id!r}, which cannot be a"
                " file name; correct the table it comes from"
            )
        seen[recording.id] = recording.path


def _check(
    path: Path, recordings: Sequence[Recording], copy: bool, skip_bad: bool, allow_silent: bool
) -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = {"wav.scp": {}, "utt2dur": {}, "utt2num_samples": {}}
    bad: list[str] = []
    for recording in tqdm(recordings, desc=path.name, unit="file", mininterval=1):
        try:
            info = check_audio(recording.path, mono=False, allow_silent=allow_silent)
            audio = recording.path
            if copy or info.channels > 1:
                audio = path.with_name(f"{path.name}_audio") / f"{recording.id}.flac"
                info = _extract(recording.path, audio, allow_silent)
        except AudioError as e:
            if not skip_bad:
                raise AudioError(f"{e} (--skip_bad skips such files)") from None
            bad.append(str(e))
            continue
        entries = {
            "wav.scp": str(audio),
            "utt2dur": f"{info.num_samples / info.rate:.4f}",
            "utt2num_samples": str(info.num_samples_at(RATE)),
        }
        for table, entry in (entries | dict(recording.entries)).items():
            tables.setdefault(table, {})[recording.id] = entry
    if bad:
        print(f"{path}: {len(bad)} of {len(recordings)} files skipped: {bad[0]}", file=sys.stderr)
    return tables


def _extract(source: Path, target: Path, allow_silent: bool) -> AudioInfo:
    """Write the first channel at 16 kHz, with 24 bits because impulse responses may be faint.

    ``.ID.src`` beside ID.flac says what it was made from; it is kept while that is the same. That
    it is newer than its source would say nothing: archives and ``cp -p`` keep times.
    """
    about = source.stat()
    made_from = os.fsencode(f"{about.st_size} {about.st_mtime_ns} {source.resolve()}\n")
    record = target.with_name(f".{target.stem}.src")
    if target.exists() and record.exists() and record.read_bytes() == made_from:
        with contextlib.suppress(AudioError):  # it was damaged since
            return check_audio(target, allow_silent=allow_silent)
    wav = read_channels(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)  # before the audio that it does not describe is there
    write_audio(target, wav if wav.ndim == 1 else wav[:, 0], subtype="PCM_24")
    write_atomic(record, made_from, durable=False)  # if it is lost, the audio is made again
    return check_audio(target, allow_silent=allow_silent)
