"""Make parts of a data dir from its audio: tables of lengths, and a file for each segment."""

from pathlib import Path

from espnet_robust.common.errors import AudioError, DataDirError
from espnet_robust.common.files import write_atomic
from espnet_robust.data.audio import RATE, audio_info, encode_audio, read_audio
from espnet_robust.data.conditions import as_file, read_condition
from espnet_robust.data.data_dir import (
    AUDIO_TABLES,
    DataDir,
    format_table,
    spk2utt,
    validate_data_dir,
)
from espnet_robust.data.replacing import replacing_dir

_PER_FOLDER = 1000  # files


def cut_segments(src: str | Path, dst: str | Path, *, allow_pipe: bool = False) -> DataDir:
    """Copy a data dir with ``segments``, cutting a file for each utterance, for ESPnet.

    Audio is written as 16-bit FLAC at 16 kHz to ``DST/audio``. Tables derived from the audio are
    left out, except ``utt2dur`` and ``utt2num_samples``, which are computed.

    Args:
        allow_pipe: whether commands in ``src/wav.scp`` may be run, once per utterance.

    Raises:
        DataDirError: ``src`` has no segments, one lies outside its recording, or the disk is full.
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
            flac = encode_audio(wav, f"utterance {utt}.flac")
            write_atomic(temporary / name, flac, durable=False)
            tables["wav.scp"][utt] = str(dst / name)
            tables["utt2num_samples"][utt] = str(len(wav))
            tables["utt2dur"][utt] = f"{len(wav) / RATE:.6g}"
        contents = {name: format_table(table.items()) for name, table in tables.items()}
        if "utt2spk" in tables:
            contents["spk2utt"] = format_table(spk2utt(tables["utt2spk"]).items())
        for file, content in (contents | dict(as_file(read_condition(src)))).items():
            (temporary / file).write_text(content, encoding="utf-8", newline="\n")
    return DataDir(dst, tables)


def add_audio_tables(path: str | Path, *, allow_pipe: bool = False) -> list[str]:
    """Write ``utt2num_samples`` (at 16 kHz) and ``utt2dur`` (s) if a data dir lacks them.

    Lengths come from the audio headers, or from the times in ``segments``.

    Returns:
        The names of the tables written.

    Raises:
        DataDirError: tables do not agree, or audio cannot be read; the message names the utterance.
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
