"""Kaldi-format data dirs: read, validate and write them.

A data dir holds ``wav.scp`` and tables such as ``text``, ``utt2spk`` and ``utt2dur``, with one line
per utterance, in the same order. Every table is sorted by utterance id in C order (by byte).
Collections of noises and room impulse responses (RIRs) are data dirs too: ``wav.scp`` and,
optionally, ``utt2group`` (id -> noise kind or room).

Relative audio paths in ``wav.scp`` are relative to the current directory, as in Kaldi.
"""

import codecs
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from espnet_robust.common.errors import AudioError, DataDirError
from espnet_robust.data.audio import RATE, AudioInfo, check_audio
from espnet_robust.data.replacing import replacing_dir
from espnet_robust.data.segments import cut, parse
from espnet_robust.data.words import words

# Files derived from the audio: stale once the audio is changed or cut.
AUDIO_TABLES = frozenset(
    {"utt2dur", "utt2num_samples", "utt2num_frames", "utt2feat_dim", "segments", "reco2dur"}
    | {"reco2num_samples", "reco2num_frames", "reco2file_and_channel", "reco2channels"}
    | {"feats.scp", "cmvn.scp", "vad.scp", "ctm", "stm", "rttm", "utt2vad"}
)
# Those of them that `data validate --add_tables` writes and completes.
LENGTHS = ("utt2num_samples", "utt2dur")
# Tables in which an utterance may have an empty entry (nothing was said).
MAY_BE_EMPTY = ("text",)


@dataclass(frozen=True)
class DataDir:
    """A data dir in memory.

    Args:
        path: the directory it was read from or written to.
        tables: file name -> {utterance id -> rest of the line}; ``wav.scp`` is always there.
        recordings: if there are ``segments``, the content of ``wav.scp`` on disk: recording ->
            entry. The table ``wav.scp`` then holds segments of these, written as in ``entries.py``.
    """

    path: Path
    tables: Mapping[str, Mapping[str, str]]
    recordings: Mapping[str, str] | None = None

    @property
    def ids(self) -> list[str]:
        """Utterance ids of ``wav.scp`` in C order."""
        return list(self.wav)

    @property
    def wav(self) -> Mapping[str, str]:
        """Utterance id -> entry; see ``entries.py``."""
        return self.tables["wav.scp"]


def is_table(name: str) -> bool:
    """Whether a file of this name in a data dir has one line per utterance.

    >>> [n for n in ("wav.scp", "text", "text_spk1", "utt2spk", "spk2utt") if is_table(n)]
    ['wav.scp', 'text', 'text_spk1', 'utt2spk']
    """
    return name in ("wav.scp", "text", "segments") or name.startswith(("utt2", "text.", "text_"))


def table_names(path: str | Path) -> list[str]:
    """Names of the per-utterance files in a data dir, sorted.

    Raises:
        DataDirError: the directory or its ``wav.scp`` is missing.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataDirError(f"{path}: no such data dir; has the stage that makes it been run?")
    if not (path / "wav.scp").is_file():
        raise DataDirError(f"{path}: no wav.scp in it, so it is not a data dir")
    return sorted(f.name for f in path.iterdir() if f.is_file() and is_table(f.name))


def refuse_segments(wav_scp: str | Path) -> None:
    """Raise DataDirError if ``segments`` lie beside a table for ESPnet, which ignores them."""
    path = Path(wav_scp).parent
    if (path / "segments").exists():
        raise DataDirError(
            f"{path}/segments: ESPnet would take whole recordings for utterances; fix:"
            f" python -m espnet_robust.bin.cut_segments {path} NEW_DATA_DIR"
        )


def iter_table(path: str | Path) -> Iterator[tuple[str, str]]:
    """Yield (utterance id, rest of the line) of one table, checking it on the way.

    Holds one line at a time, so tables of any length can be read.

    Raises:
        DataDirError: missing, not UTF-8, a byte-order mark, a blank line, an id without an entry
            (only ``text`` may have these), duplicate ids, or ids not in C order.
    """
    path = Path(path)
    fix = f"fix: {fix_command(path.parent)}"
    previous = None
    try:
        with open(path, "rb") as f:
            for number, line in enumerate(f, 1):
                if number == 1 and line.startswith(codecs.BOM_UTF8):
                    raise DataDirError(
                        f"{path}: begins with a byte-order mark, which would be part of the first"
                        f" id; {fix}"
                    )
                # bytes.split splits only at ASCII blanks, as words() does.
                parts = line.split(None, 1)
                if not parts:
                    raise DataDirError(f"{path}:{number}: blank line; {fix}")
                utt = parts[0].decode("utf-8")
                rest = parts[1].rstrip().decode("utf-8") if len(parts) > 1 else ""
                if not rest and not path.name.startswith(MAY_BE_EMPTY):
                    raise DataDirError(f"{path}:{number}: nothing after the id {utt!r}; {fix}")
                if previous is not None and utt <= previous:
                    what = "occurs twice" if utt == previous else f"after {previous!r}: not sorted"
                    raise DataDirError(f"{path}:{number}: utterance {utt!r} {what}; {fix}")
                previous = utt
                yield utt, rest
    except OSError as e:
        raise DataDirError(f"{path}: cannot be read: {e.strerror}") from None
    except UnicodeDecodeError:
        raise not_utf8(path) from None


def not_utf8(path: Path) -> DataDirError:
    """The error to raise for a table in another encoding."""
    old, new = shlex.quote(str(path)), shlex.quote(f"{path}.utf8")
    return DataDirError(
        f"{path}: not UTF-8 text; fix, if it is Latin-1:"
        f" iconv -f LATIN1 -t UTF-8 {old} > {new} && mv {new} {old}"
    )


def fix_command(path: Path) -> str:
    """The command that makes the tables of a data dir agree, for messages."""
    return f"espnet-robust data fix {shlex.quote(str(path))}"


def read_data_dir(path: str | Path) -> DataDir:
    """Read every per-utterance file of a data dir.

    Tables need not cover the same utterances; ``validate_data_dir`` checks that.

    Raises:
        DataDirError: missing, empty, or a faulty table, as for ``iter_table``.
    """
    path = Path(path)
    tables = {name: dict(iter_table(path / name)) for name in table_names(path)}
    if not tables["wav.scp"]:
        raise DataDirError(f"{path}/wav.scp: no utterances in it")
    recordings = None
    if "segments" in tables:
        recordings = tables["wav.scp"]
        tables["wav.scp"] = dict(cut(tables["segments"], recordings, f"{path}/segments"))
        if not tables["wav.scp"]:
            raise DataDirError(f"{path}/segments: no utterances in it")
    return DataDir(path, tables, recordings)


def iter_wav(path: str | Path) -> Iterator[tuple[str, str]]:
    """Yield (utterance id, entry), from ``segments`` if there are any, one at a time.

    Raises:
        DataDirError: as for ``read_data_dir``.
    """
    path = Path(path)
    wav = iter_table(path / "wav.scp")
    if (path / "segments").exists():
        return cut(iter_table(path / "segments"), dict(wav), f"{path}/segments")
    return wav


def write_data_dir(
    path: str | Path,
    tables: Mapping[str, Mapping[str, str]],
    others: Mapping[str, str] = MappingProxyType({}),
    recordings: Mapping[str, str] | None = None,
) -> DataDir:
    """Write a data dir, sorted in C order, with ``spk2utt`` derived from ``utt2spk``.

    The directory appears whole or not at all. An existing data dir is replaced, with everything in
    it.

    Args:
        path: the directory; missing parents are made.
        tables: file name -> {utterance id -> entry}; every table covers the ids of ``wav.scp``.
        others: file name -> content, for files that are not tables.
        recordings: with a table ``segments``: recording -> entry, for ``wav.scp``; those that no
            utterance needs are left out.

    Raises:
        DataDirError: no utterances, no ``wav.scp``, ids that differ between tables, ids or entries
            that do not fit on one line, ``path`` exists and is not a data dir, or the disk is full.
    """
    path = Path(path)
    if not tables.get("wav.scp"):
        raise DataDirError(f"{path}: no utterances to write; is the path to the corpus right?")
    ordered = {name: dict(sorted(table.items())) for name, table in tables.items()}
    _check_same_ids(path, ordered)
    for name, table in ordered.items():
        _check_lines(path / name, table)
    contents = dict(others)
    contents |= {name: format_table(table.items()) for name, table in ordered.items()}
    if recordings is not None:
        recordings = _needed(recordings, ordered["segments"])
        contents["wav.scp"] = format_table(recordings.items())
    if "utt2spk" in ordered:
        contents["spk2utt"] = format_table(spk2utt(ordered["utt2spk"]).items())
    with replacing_dir(path) as temporary:
        for name, content in contents.items():
            (temporary / name).write_text(content, encoding="utf-8", newline="\n")
    return DataDir(path, ordered, recordings)


def _needed(recordings: Mapping[str, str], segments: Mapping[str, str]) -> dict[str, str]:
    names = {parse(utt, line, "segments")[0] for utt, line in segments.items()}
    return {name: recordings[name] for name in sorted(names)}


def _check_lines(path: Path, table: Mapping[str, str]) -> None:
    """Raise DataDirError for an id or entry that does not fit on one line of ``path``."""
    for utt, entry in table.items():
        if words(utt) != [utt]:
            raise DataDirError(f"{path}: utterance id {utt!r} is empty or contains blanks")
        if "\n" in entry or "\r" in entry:
            raise DataDirError(f"{path}: line break in the entry of {utt!r}")
        if not entry.strip() and not path.name.startswith(MAY_BE_EMPTY):
            raise DataDirError(f"{path}: nothing to write for utterance {utt!r}")


def format_table(rows: Iterable[tuple[str, str]]) -> str:
    """Lines of a table, in the order given."""
    return "".join(f"{utt} {entry}".rstrip(" ") + "\n" for utt, entry in rows)


def spk2utt(utt2spk: Mapping[str, str]) -> dict[str, str]:
    """Speaker -> utterance ids separated by blanks, both in C order."""
    speakers: dict[str, list[str]] = {}
    for utt, speaker in utt2spk.items():
        speakers.setdefault(speaker, []).append(utt)
    return {speaker: " ".join(sorted(speakers[speaker])) for speaker in sorted(speakers)}


def _check_same_ids(path: Path, tables: Mapping[str, Mapping[str, str]], fix: str = "") -> None:
    want = tables["wav.scp"].keys()
    for name, table in tables.items():
        missing = sorted(want - table.keys())
        unknown = sorted(table.keys() - want)
        if missing or unknown:
            raise DataDirError(
                f"{path}/{name} does not match wav.scp: {len(missing)} utterances missing"
                f" {missing[:3]}, {len(unknown)} without audio {unknown[:3]}{fix}"
            )


def _check_tables(data: DataDir, besides: Collection[str]) -> None:
    """Check that all tables but ``besides`` cover the same utterances; those in LENGTHS last."""
    tables = {name: table for name, table in data.tables.items() if name not in besides}
    lengths = {name: tables.pop(name) for name in LENGTHS if name in tables}
    fix = f"; fix, by dropping both kinds: {fix_command(data.path)}"
    _check_same_ids(data.path, tables, fix)
    path = shlex.quote(str(data.path))
    fix = f"; fix: espnet-robust data validate {path} --need wav.scp --add_tables"
    _check_same_ids(data.path, {"wav.scp": data.wav, **lengths}, fix)


def check_speakers(path: Path, utt2spk: Mapping[str, str]) -> None:
    """Raise DataDirError for a speaker of more than one word, which spk2utt cannot hold."""
    for utt, speaker in utt2spk.items():
        if speaker != "".join(speaker.split()):
            fix = f"sed -i 's/[ \\t]/_/2g' {shlex.quote(str(path / 'utt2spk'))}"
            raise DataDirError(
                f"{path}/utt2spk: utterance {utt}: speaker {speaker!r} contains blanks; fix: {fix}"
            )


def _check_spk2utt(data: DataDir) -> None:
    speakers = data.path / "spk2utt"
    if "utt2spk" not in data.tables:
        return
    check_speakers(data.path, data.tables["utt2spk"])
    if not speakers.is_file():
        return
    if dict(iter_table(speakers)) != spk2utt(data.tables["utt2spk"]):
        raise DataDirError(f"{speakers} does not match utt2spk; fix: {fix_command(data.path)}")


def validate_data_dir(
    path: str | Path,
    *,
    need: Sequence[str] = ("wav.scp", "text", "utt2spk"),
    audio: bool = False,
    allow_pipe: bool = False,
    besides: Collection[str] = (),
) -> DataDir:
    """Read a data dir and check that its tables cover the same utterances.

    Args:
        path: the data dir.
        need: tables that must be there.
        audio: also open every audio file: it must exist, be mono and not empty, be readable to its
            last sample, hold finite samples, and be as long as ``utt2num_samples`` says.
        allow_pipe: whether commands in ``wav.scp`` may be run for that.
        besides: tables that may cover other utterances.

    Raises:
        DataDirError: the message names the file, the utterance and the fix.
    """
    data = read_data_dir(path)
    for name in need:
        if name not in data.tables:
            raise DataDirError(f"{path}: no {name} in it")
    _check_tables(data, besides)
    _check_spk2utt(data)
    if audio:
        for utt, entry in data.wav.items():
            try:
                info = check_audio(entry, allow_pipe=allow_pipe)
            except AudioError as e:
                raise DataDirError(f"{data.path}/wav.scp: utterance {utt}: {e}") from None
            _check_length(data, utt, info)
    return data


def _check_length(data: DataDir, utt: str, info: AudioInfo) -> None:
    """Check ``utt2num_samples``, which counts at the file's rate, as Kaldi does, or at 16 kHz."""
    told = data.tables.get("utt2num_samples", {}).get(utt)
    found = (info.num_samples, info.num_samples_at(RATE))
    if told is not None and told not in map(str, found):
        raise DataDirError(
            f"{data.path}/utt2num_samples: utterance {utt}: {told}, but its audio has"
            f" {found[0]} samples at {info.rate} Hz: {data.wav[utt]}"
        )
