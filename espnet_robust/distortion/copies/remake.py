"""Remake one utterance of a copy from its record."""

import json
from pathlib import Path

import numpy as np

from espnet_robust.common.errors import DataDirError
from espnet_robust.data.audio import read_audio
from espnet_robust.data.data_dir import iter_table
from espnet_robust.distortion.config import load_distortion
from espnet_robust.distortion.copies.provenance import FILE, read_record


def remake(copy: str | Path, utt: str, *, allow_pipe: bool = False) -> np.ndarray:
    """Remake one utterance of a copy from its line in ``utt2distortion``.

    Args:
        allow_pipe: whether the utterance's source may be a command, which is then run. Only the
            caller can allow this, not a file in the copy.

    Returns:
        (samples,) float32; quantised to 16 bits, it equals the stored audio.

    Raises:
        UserError: the utterance is not in the copy, or something it was made of is missing.
    """
    copy = Path(copy)
    lines = (line for found, line in iter_table(copy / "utt2distortion") if found == utt)
    line = next(lines, None)
    if line is None:
        raise DataDirError(f"{copy}/utt2distortion: no utterance {utt!r} in it")
    made_of = read_record(copy)
    if made_of is None or "config" not in made_of:
        raise DataDirError(f"{copy}/{FILE}: missing or damaged; make the copy again")
    try:
        record = json.loads(line)
        source = record["source"]
    except (ValueError, KeyError, TypeError):
        raise DataDirError(f"{copy}/utt2distortion: the record of {utt!r} is damaged") from None
    distorter = load_distortion(made_of["config"])
    wav = read_audio(source, on_rate=distorter.on_rate, allow_pipe=allow_pipe)
    return distorter.apply(wav, record)
