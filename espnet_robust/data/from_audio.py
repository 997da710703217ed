"""Make parts of a data dir from its audio: tables of lengths, and a file for each segment."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from espnet_robust.common.errors import AudioError, DataDirError
from espnet_robust.common.files import write_atomic
from espnet_robust.data.audio import RATE, AudioInfo, audio_info, encode_audio, read_audio
from espnet_robust.data.conditions import as_file, read_condition
from espnet_robust.data.data_dir import (
    AUDIO_TABLES,
    LENGTHS,
    DataDir,
    format_table,
    spk2utt,
    validate_data_dir,
)
from espnet_robust.data.replacing import refuse_source, replacing_dir

_PER_FOLDER = 1000  # files
_ROUNDED = 0.01  # s, in tables of others


def cut_segments(src: str | Path, dst: str | Path, *, allow_pipe: bool = False) -> DataDir:
    """Copy a data dir with ``segments``, cutting a file for each utterance, for ESPnet.

    Audio is written as 16-bit FLAC at 16 kHz to ``DST/audio``. Tables derived from the audio are
    left out, except ``utt2dur`` and ``utt2num_samples``, which are computed.

    Args:
        allow_pipe: whether commands in ``src/wav.scp`` may be run, once per utterance.

    Raises:
        DataDirError: ``src`` has no segments or is ``dst``, a segment lies outside its recording,
            or the disk is full.
    """
    dst = Path(dst)
    refuse_source(dst, [src])
    data = validate_data_dir(src, need=("segments",))
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

    Those that are there and cover other utterances than ``wav.scp`` are completed. Lengths come
    from the audio headers, or from the times in ``segments``.

    Returns:
        The names of the tables written.

    Raises:
        DataDirError: other tables do not agree, audio cannot be read, or a table to be completed
            contradicts it; the message names the utterance. Nothing has been written then.
    """
    data = validate_data_dir(path, need=("wav.scp",), besides=LENGTHS)
    wanted = [name for name in LENGTHS if data.tables.get(name, {}).keys() != data.wav.keys()]
    if not wanted:
        return []
    infos = {}
    for utt, entry in data.wav.items():
        try:
            infos[utt] = audio_info(entry, allow_pipe=allow_pipe)
        except AudioError as e:
            raise DataDirError(f"{data.path}/wav.scp: utterance {utt}: {e}") from None
    tables = {name: _completed(data, name, infos) for name in wanted}
    for name, table in tables.items():
        try:
            write_atomic(data.path / name, format_table(table.items()))
        except OSError as e:
            raise DataDirError(f"{data.path / name}: cannot be written: {e.strerror}") from None
    return wanted


def _completed(data: DataDir, name: str, infos: Mapping[str, AudioInfo]) -> dict[str, str]:
    """The table of that name for all utterances: as it is, as far as there is one.

    It may count samples at the file's rate, as Kaldi does; so does what is added then.
    """
    told = data.tables.get(name, {})
    if name == "utt2dur":
        ways = [{utt: f"{info.num_samples / info.rate:.6g}" for utt, info in infos.items()}]
    else:
        ways = [
            {utt: str(info.num_samples_at(RATE)) for utt, info in infos.items()},
            {utt: str(info.num_samples) for utt, info in infos.items()},
        ]
    for lengths in ways:
        wrong = [u for u in told if u in lengths and not _agree(name, told[u], lengths[u])]
        if not wrong:
            return {utt: told.get(utt, length) for utt, length in lengths.items()}
    path, utt = data.path / name, wrong[0]
    raise DataDirError(
        f"{path}: it covers other utterances than wav.scp and contradicts the audio: utterance"
        f" {utt}: {told[utt]}, but its audio gives {lengths[utt]}; fix, if the audio is right, and"
        f" run this again: rm {shlex.quote(str(path))}"
    )


def _agree(name: str, told: str, length: str) -> bool:
    if name != "utt2dur":
        return told == length
    try:
        return abs(float(told) - float(length)) <= _ROUNDED
    except ValueError:
        return False
