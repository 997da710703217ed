"""Check the data dir to be distorted, before anything is made."""

from itertools import zip_longest
from pathlib import Path

from espnet_robust.common.errors import AudioError, DataDirError
from espnet_robust.data.audio import check_audio
from espnet_robust.data.data_dir import AUDIO_TABLES, fix_command, iter_table, iter_wav, table_names
from espnet_robust.data.entries import is_pipe


def check_source(src: Path, *, allow_pipe: bool) -> int:
    """Check tables and audio; return the number of utterances.

    Raises:
        DataDirError: tables do not agree, audio cannot be used, or there are no utterances.
    """
    scp = src / "wav.scp"
    utterances = src / "segments" if (src / "segments").exists() else scp
    for name in table_names(src):
        if name not in AUDIO_TABLES | {"wav.scp"}:
            check_ids_agree(utterances, src / name)
    total = 0
    for utt, entry in iter_wav(src):
        total += 1
        if allow_pipe and is_pipe(entry):
            continue  # running the command twice would cost more than failing later
        try:
            check_audio(entry)
        except AudioError as e:
            raise DataDirError(f"{utterances}: utterance {utt}: {e}") from None
    if not total:
        raise DataDirError(f"{scp}: no utterances in it")
    return total


def check_ids_agree(scp: Path, table: Path) -> None:
    """Check that two tables have the same utterances, line by line.

    Raises:
        DataDirError: they differ; the message names the line of ``table`` and the utterance.
    """
    end = (None, None)
    rows = zip_longest(iter_table(scp), iter_table(table), fillvalue=end)
    for number, ((utt, _), (utt_other, _)) in enumerate(rows, 1):
        if utt != utt_other:
            missing = utt_other is None or (utt is not None and utt < utt_other)
            what = f"{utt!r} is missing" if missing else f"{utt_other!r} has no audio"
            raise DataDirError(
                f"{table}:{number}: does not match wav.scp: {what};"
                f" fix: {fix_command(table.parent)}"
            )
