"""Kaldi-format data dirs: read, validate, write, subset and combine.

A data dir holds ``wav.scp`` and, one line an utterance and in the same order, tables such as
``text``, ``utt2spk``, ``utt2dur``. Every table is sorted by utterance id in C order (by byte).
Noise and room-impulse-response collections are data dirs too: ``wav.scp`` and, optionally,
``utt2group`` (id -> noise kind or room).

Relative audio paths in ``wav.scp`` are relative to the current directory, as in Kaldi.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet_robust.data.audio import check_audio
from espnet_robust.errors import AudioError, DataDirError

# Tables whose content follows from the audio: stale once the audio changes.
AUDIO_TABLES = frozenset({"utt2dur", "utt2num_samples", "utt2num_frames"})
# Tables in which an utterance may have an empty entry (nothing was said).
MAY_BE_EMPTY = ("text",)


@dataclass(frozen=True)
class DataDir:
    """A data dir in memory.

    Args:
        path: the directory it was read from or written to.
        tables: file name -> {utterance id -> rest of the line}; ``wav.scp`` is always there.
    """

    path: Path
    tables: Mapping[str, Mapping[str, str]]

    @property
    def ids(self) -> list[str]:
        """Utterance ids of ``wav.scp`` in C order."""
        return list(self.wav)

    @property
    def wav(self) -> Mapping[str, str]:
        """Utterance id -> audio file, ``ark:offset`` or command ending in ``|``."""
        return self.tables["wav.scp"]


def is_table(name: str) -> bool:
    """Whether a file of this name in a data dir has one line per utterance.

    >>> [n for n in ("wav.scp", "text", "text_spk1", "utt2spk", "spk2utt") if is_table(n)]
    ['wav.scp', 'text', 'text_spk1', 'utt2spk']
    """
    return name in ("wav.scp", "text") or name.startswith(("utt2", "text.", "text_"))


def table_names(path: str | Path) -> list[str]:
    """Names of the per-utterance files in a data dir, sorted.

    Raises:
        DataDirError: the directory or its ``wav.scp`` is missing, or it has ``segments``.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataDirError(f"{path}: no such data dir; was the stage that makes it run?")
    if not (path / "wav.scp").is_file():
        raise DataDirError(f"{path}: no wav.scp in it, so it is not a data dir")
    if (path / "segments").exists():
        raise DataDirError(
            f"{path}/segments is not supported: cut the recordings into one file per utterance"
            " first (Kaldi: utils/data/extract_wav_segments_data_dir.sh)"
        )
    return sorted(f.name for f in path.iterdir() if f.is_file() and is_table(f.name))


def iter_table(path: str | Path) -> Iterator[tuple[str, str]]:
    """Yield (utterance id, rest of the line) of one table, checking it on the way.

    Holds one line at a time, so tables of any length can be read.

    Raises:
        DataDirError: missing, not UTF-8, a blank line, an id without an entry (only ``text`` may
            have these), ids duplicate or not in C order.
    """
    path = Path(path)
    mend = f"to mend: LC_ALL=C sort -u -k1,1 -o {path} {path}"
    previous = None
    try:
        with open(path, "rb") as f:
            for number, line in enumerate(f, 1):
                # bytes.split knows ASCII blanks only, as Kaldi does: U+3000 may be part of a text.
                parts = line.split(None, 1)
                if not parts:
                    raise DataDirError(f"{path}:{number}: blank line; {mend}")
                utt = parts[0].decode("utf-8")
                rest = parts[1].rstrip().decode("utf-8") if len(parts) > 1 else ""
                if not rest and not path.name.startswith(MAY_BE_EMPTY):
                    raise DataDirError(f"{path}:{number}: nothing after the id {utt!r}")
                if previous is not None and utt <= previous:
                    what = "occurs twice" if utt == previous else f"after {previous!r}: unsorted"
                    raise DataDirError(f"{path}:{number}: utterance {utt!r} {what}; {mend}")
                previous = utt
                yield utt, rest
    except OSError as e:
        raise DataDirError(f"{path}: cannot be read: {e.strerror}") from None
    except UnicodeDecodeError:
        raise DataDirError(f"{path}: not UTF-8 text; convert it with iconv -t UTF-8") from None


def read_data_dir(path: str | Path) -> DataDir:
    """Read every per-utterance file of a data dir.

    Tables need not cover the same utterances; ``validate_data_dir`` checks that.

    Raises:
        DataDirError: missing, empty, or a table as in ``iter_table``.
    """
    path = Path(path)
    tables = {name: dict(iter_table(path / name)) for name in table_names(path)}
    if not tables["wav.scp"]:
        raise DataDirError(f"{path}/wav.scp: no utterances in it")
    return DataDir(path, tables)


def write_data_dir(path: str | Path, tables: Mapping[str, Mapping[str, str]]) -> DataDir:
    """Write a data dir, sorted in C order, with ``spk2utt`` derived from ``utt2spk``.

    The directory appears whole or not at all. One that is already there is replaced, with
    everything in it.

    Args:
        path: the directory; its parents are made.
        tables: file name -> {utterance id -> entry}; every table covers the ids of ``wav.scp``.

    Raises:
        DataDirError: no utterances, no ``wav.scp``, ids that differ between tables, ids or entries
            that cannot stand on one line, ``path`` is something other than a data dir, disk full.
    """
    path = Path(path)
    wav = tables.get("wav.scp")
    if not wav:
        raise DataDirError(f"{path}: no utterances to write; is the path of the corpus right?")
    ordered = {name: dict(sorted(table.items())) for name, table in tables.items()}
    _check_same_ids(path, ordered)
    for name, table in ordered.items():
        for utt, entry in table.items():
            if not utt or utt != "".join(utt.split()):
                raise DataDirError(f"{path}/{name}: utterance id {utt!r} is empty or has blanks")
            if "\n" in entry or "\r" in entry:
                raise DataDirError(f"{path}/{name}: line break in the entry of {utt!r}")
            if not entry.strip() and not name.startswith(MAY_BE_EMPTY):
                raise DataDirError(f"{path}/{name}: nothing to write for utterance {utt!r}")
    contents = {name: format_table(table.items()) for name, table in ordered.items()}
    if "utt2spk" in ordered:
        contents["spk2utt"] = format_table(spk2utt(ordered["utt2spk"]).items())
    with replacing_dir(path) as temporary:
        for name, content in contents.items():
            (temporary / name).write_text(content, encoding="utf-8", newline="\n")
    return DataDir(path, ordered)


def format_table(rows: Iterable[tuple[str, str]]) -> str:
    """Lines of a table, in the order given."""
    return "".join(f"{utt} {entry}".rstrip(" ") + "\n" for utt, entry in rows)


def spk2utt(utt2spk: Mapping[str, str]) -> dict[str, str]:
    """Speaker -> utterance ids separated by blanks, both in C order."""
    speakers: dict[str, list[str]] = {}
    for utt, speaker in utt2spk.items():
        speakers.setdefault(speaker, []).append(utt)
    return {speaker: " ".join(sorted(speakers[speaker])) for speaker in sorted(speakers)}


class replacing_dir:
    """Context manager: a temporary directory that takes the place of ``path`` on success.

    On an exception it is removed and ``path`` stays as it was.

    Raises:
        DataDirError: ``path`` exists and is neither empty nor a data dir; or the disk is full.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")

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
                replace_dir(self.temporary, self.path)
        finally:
            shutil.rmtree(self.temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise DataDirError(f"{self.path}: cannot be written: {error.strerror}") from None


def refuse_foreign(path: Path) -> None:
    """Raise DataDirError if ``path`` exists and replacing it would destroy anything else."""
    if not path.exists() or (path / "wav.scp").exists():
        return
    if not path.is_dir() or any(path.iterdir()):
        raise DataDirError(f"{path} exists and is not a data dir: remove it or choose another name")


def replace_dir(new: Path, path: Path) -> None:
    """Rename the directory ``new`` to ``path``; what was at ``path`` is deleted afterwards."""
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    if path.exists():
        os.rename(path, old)
    os.rename(new, path)
    shutil.rmtree(old, ignore_errors=True)


def _check_same_ids(path: Path, tables: Mapping[str, Mapping[str, str]]) -> None:
    want = tables["wav.scp"].keys()
    for name, table in tables.items():
        missing = sorted(want - table.keys())
        unknown = sorted(table.keys() - want)
        if missing or unknown:
            raise DataDirError(
                f"{path}/{name} does not match wav.scp: {len(missing)} utterances missing"
                f" {missing[:3]}, {len(unknown)} without audio {unknown[:3]};"
                f" to drop both kinds: utils/fix_data_dir.sh {path}"
            )


def _check_spk2utt(data: DataDir) -> None:
    speakers = data.path / "spk2utt"
    if "utt2spk" not in data.tables or not speakers.is_file():
        return
    if dict(iter_table(speakers)) != spk2utt(data.tables["utt2spk"]):
        raise DataDirError(
            f"{speakers} does not match utt2spk;"
            f" to mend: utils/utt2spk_to_spk2utt.pl {data.path}/utt2spk > {speakers}"
        )


def validate_data_dir(
    path: str | Path,
    *,
    need: Sequence[str] = ("wav.scp", "text", "utt2spk"),
    audio: bool = False,
) -> DataDir:
    """Read a data dir and check that its tables cover the same utterances.

    Args:
        path: the data dir.
        need: tables that must be there.
        audio: also open every audio file: it must be there, be mono audio, longer than zero, read
            to its last sample, and hold finite samples.

    Raises:
        DataDirError: naming the file, the utterance and the way to mend it.
    """
    data = read_data_dir(path)
    for name in need:
        if name not in data.tables:
            raise DataDirError(f"{path}: no {name} in it")
    _check_same_ids(data.path, data.tables)
    _check_spk2utt(data)
    if audio:
        for utt, entry in data.wav.items():
            try:
                check_audio(entry)
            except AudioError as e:
                raise DataDirError(f"{data.path}/wav.scp: utterance {utt}: {e}") from None
    return data


def subset_data_dir(
    src: str | Path,
    dst: str | Path,
    ids: Iterable[str] | None = None,
    first: int | None = None,
) -> DataDir:
    """Write the utterances ``ids`` of ``src``, or its ``first`` ones, as the data dir ``dst``.

    Raises:
        DataDirError: an id is not in ``src``, or none is left.
    """
    data = validate_data_dir(src, need=("wav.scp",))
    keep = set(data.ids if ids is None else ids)
    if unknown := sorted(keep - data.wav.keys()):
        raise DataDirError(f"{src}: no utterances {unknown[:3]} in it ({len(unknown)} unknown)")
    chosen = [utt for utt in data.ids if utt in keep][:first]
    return write_data_dir(
        dst, {name: {utt: t[utt] for utt in chosen} for name, t in data.tables.items()}
    )


def combine_data_dirs(srcs: Sequence[str | Path], dst: str | Path) -> DataDir:
    """Write the utterances of several data dirs as one; tables that not all of them have go.

    Raises:
        DataDirError: an utterance id occurs in two of them.
    """
    if not srcs:
        raise DataDirError(f"{dst}: no data dirs to combine")
    dirs = [validate_data_dir(src, need=("wav.scp",)) for src in srcs]
    owner: dict[str, Path] = {}
    for data in dirs:
        for utt in data.ids:
            if utt in owner:
                raise DataDirError(f"utterance {utt!r} is both in {owner[utt]} and {data.path}")
            owner[utt] = data.path
    common = set.intersection(*(set(data.tables) for data in dirs))
    return write_data_dir(
        dst,
        {n: {u: e for data in dirs for u, e in data.tables[n].items()} for n in sorted(common)},
    )
