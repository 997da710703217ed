"""Data dirs made from data dirs: parts, unions, and recordings cut into utterances."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from espnet_robust.data.audio import RATE, audio_info, encode_audio, read_audio
from espnet_robust.data.data_dir import (
    AUDIO_TABLES,
    DataDir,
    format_table,
    replacing_dir,
    spk2utt,
    validate_data_dir,
    write_data_dir,
)
from espnet_robust.data.segments import cut
from espnet_robust.errors import AudioError, DataDirError
from espnet_robust.files import write_atomic

_PER_FOLDER = 1000  # files


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
    tables = {name: {utt: t[utt] for utt in chosen} for name, t in data.tables.items()}
    return write_data_dir(dst, tables, data.recordings)


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
    recordings = None
    if any(data.recordings is not None for data in dirs):
        dirs = [_as_segments(data) for data in dirs]
        recordings = {}
        for data in dirs:
            for name, entry in data.recordings.items():
                if recordings.setdefault(name, entry) != entry:
                    raise DataDirError(f"{dst}: two recordings are called {name!r}: rename one")
    common = set.intersection(*(set(data.tables) for data in dirs))
    tables = {n: {u: e for data in dirs for u, e in data.tables[n].items()} for n in common}
    return write_data_dir(dst, tables, recordings)


def _as_segments(data: DataDir) -> DataDir:
    """With each utterance as the whole of a recording, where there were no segments."""
    if data.recordings is not None:
        return data
    whole = {utt: f"{utt} 0 -1" for utt in data.ids}
    tables = {**data.tables, "segments": whole, "wav.scp": dict(cut(whole, data.wav, "segments"))}
    return DataDir(data.path, tables, data.wav)


def cut_segments(src: str | Path, dst: str | Path, *, allow_pipe: bool = False) -> DataDir:
    """Write a data dir with ``segments`` anew, with a file for each utterance, for ESPnet.

    Audio is FLAC of 16 bits at 16 kHz in ``DST/audio``. Tables that follow from the audio are left
    out, but for ``utt2dur`` and ``utt2num_samples``, which are made.

    Args:
        allow_pipe: whether commands in ``src/wav.scp`` may be run, once an utterance.

    Raises:
        DataDirError: ``src`` has no segments, one of them is not in its recording, disk full.
    """
    data = validate_data_dir(src, need=("segments",))
    dst = Path(dst)
    tables: dict[str, dict[str, str]] = {
        name: dict(table) for name, table in data.tables.items() if name not in AUDIO_TABLES
    }
    tables |= {"utt2dur": {}, "utt2num_samples": {}}
    with replacing_dir(dst) as temporary:
        for number, (utt, entry) in enumerate(data.wav.items()):
            folder = Path("audio") / f"{number // _PER_FOLDER:04d}"
            (temporary / folder).mkdir(parents=True, exist_ok=True)
            name = folder / f"{number % _PER_FOLDER:03d}.flac"
            try:
                wav = read_audio(entry, allow_pipe=allow_pipe)
            except AudioError as e:
                raise DataDirError(f"{data.path}/segments: utterance {utt}: {e}") from None
            write_atomic(temporary / name, encode_audio(wav, f"utterance {utt}.flac"))
            tables["wav.scp"][utt] = str(dst / name)
            tables["utt2num_samples"][utt] = str(len(wav))
            tables["utt2dur"][utt] = f"{len(wav) / RATE:.6g}"
        contents = {name: table.items() for name, table in tables.items()}
        if "utt2spk" in tables:
            contents["spk2utt"] = spk2utt(tables["utt2spk"]).items()
        for name, rows in contents.items():
            (temporary / name).write_text(format_table(rows), encoding="utf-8", newline="\n")
    return DataDir(dst, tables)


def add_audio_tables(path: str | Path, *, allow_pipe: bool = False) -> list[str]:
    """Write ``utt2num_samples`` (at 16 kHz) and ``utt2dur`` (s) where a data dir lacks them.

    They come from the headers of the audio; ``segments`` from their times.

    Returns:
        The names of the tables written.

    Raises:
        DataDirError: tables that do not agree, or audio that cannot be read, by utterance.
    """
    data = validate_data_dir(path, need=("wav.scp",))
    missing = [name for name in ("utt2num_samples", "utt2dur") if name not in data.tables]
    if not missing:
        return []
    rows: dict[str, list[tuple[str, str]]] = {"utt2num_samples": [], "utt2dur": []}
    for utt, entry in data.wav.items():
        try:
            info = audio_info(entry, allow_pipe=allow_pipe)
        except AudioError as e:
            raise DataDirError(f"{data.path}/wav.scp: utterance {utt}: {e}") from None
        rows["utt2num_samples"].append((utt, str(info.num_samples_at(RATE))))
        rows["utt2dur"].append((utt, f"{info.num_samples / info.rate:.6g}"))
    for name in missing:
        try:
            write_atomic(data.path / name, format_table(rows[name]))
        except OSError as e:
            raise DataDirError(f"{data.path / name}: cannot be written: {e.strerror}") from None
    return missing
