"""What the page shows of each utterance: one block a condition, read when somebody looks at it."""

import base64
import functools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from espnet_robust.common.errors import UserError
from espnet_robust.data.audio import read_audio
from espnet_robust.data.conditions import CLEAN
from espnet_robust.data.data_dir import iter_table, iter_wav
from espnet_robust.data.entries import is_pipe
from espnet_robust.score.page.spectrogram import spectrogram
from espnet_robust.score.page.tested import Tested

_SEGMENT = re.compile(r"(.+)\[([\d.]+):(-?[\d.]+)(?:,\d+)?\]")  # entries.segment_entry
SPECTROGRAM_BYTES = 3_000_000  # of all spectrograms in a page


@dataclass(frozen=True)
class Run:
    """One system and seed.

    Args:
        system: its name in the table.
        seed: of training.
        tested: what it was tested on.
        errors: condition -> {utterance id -> (words, errors)}, as ``schema.read_counts``.
    """

    system: str
    seed: int
    tested: Tested
    errors: Mapping[str, Mapping[str, tuple[int, int]]]


def blocks(
    runs: Sequence[Run], conditions: Sequence[str], out: Path
) -> Iterator[dict[str, Any]]:
    """The utterances of each condition, JSON-able.

    Args:
        runs: all of the report.
        conditions: their names, in the order of the table.
        out: directory of the page; audio is named from there.

    Yields:
        for each condition columns with an item for each utterance: ``ids``, ``speakers``, ``refs``,
        ``hyps`` and ``errors`` (one for each run; a hypothesis is null where it equals the
        reference, errors are null where it was not tested), ``audio`` and ``clean`` (a path or
        null), ``drawn`` (what distorted it); ``pictures`` holds spectrograms by place.
        A condition whose files cannot be read has ``problem`` instead.
    """
    budget = SPECTROGRAM_BYTES // max(1, len(conditions))
    for condition in conditions:
        here = [run for run in runs if condition in run.tested.data_dirs]
        try:
            block = _block(runs, here, condition, out)
        except UserError as e:
            yield {"problem": str(e)}
            continue
        yield block.columns | {"pictures": _pictures(block, budget)}


@dataclass(frozen=True)
class _Block:
    columns: dict[str, Any]
    wavs: Sequence[str]  # entries of wav.scp
    sources: Sequence[str]


def _block(runs: Sequence[Run], here: Sequence[Run], condition: str, out: Path) -> _Block:
    if not here:
        raise UserError("where its utterances are was not recorded; score the systems again")
    data_dir, table = here[0].tested.data_dirs[condition], here[0].tested.table
    refs = dict(iter_table(data_dir / table))
    spoken_by, wavs = _table(data_dir / "utt2spk"), _wavs(data_dir)
    drawn = {utt: _record(text) for utt, text in _table(data_dir / "utt2distortion").items()}
    clean = _clean_audio(here[0])
    sources = {utt: clean.get(utt) or str(drawn.get(utt, {}).pop("source", "")) for utt in refs}
    speakers = sorted({spoken_by.get(utt, "") for utt in refs})
    place = {name: number for number, name in enumerate(speakers)}
    hyps = [_hypotheses(run, condition) for run in runs]
    errors = [run.errors.get(condition, {}) for run in runs]
    columns = {
        "ids": list(refs),
        "speakerNames": speakers,
        "speakers": [place[spoken_by.get(utt, "")] for utt in refs],
        "refs": list(refs.values()),
        "hyps": [[_unless(h.get(utt, ""), ref) for h in hyps] for utt, ref in refs.items()],
        "errors": [[e[utt][1] if utt in e else None for e in errors] for utt in refs],
        "audio": [_from(out, wavs.get(utt, "")) for utt in refs],
        "clean": [_from(out, sources[utt]) for utt in refs] if condition != CLEAN else [],
        "drawn": [drawn.get(utt) for utt in refs],
    }
    return _Block(columns, [wavs.get(utt, "") for utt in refs], list(sources.values()))


def _clean_audio(run: Run) -> dict[str, str]:
    data_dir = run.tested.data_dirs.get(CLEAN)
    return _wavs(data_dir) if data_dir else {}


def _wavs(data_dir: Path) -> dict[str, str]:
    return dict(iter_wav(data_dir)) if (data_dir / "wav.scp").is_file() else {}


def _table(path: Path) -> dict[str, str]:
    """A table that need not be there."""
    return dict(iter_table(path)) if path.is_file() else {}


def _record(text: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except ValueError:
        return {"record": text}
    return record if isinstance(record, dict) else {"record": text}


def _hypotheses(run: Run, condition: str) -> dict[str, str]:
    directory = run.tested.decoded.get(condition)
    return _table(directory / run.tested.table) if directory else {}


def _unless(hypothesis: str, reference: str) -> str | None:
    return None if hypothesis == reference else hypothesis


def _from(out: Path, entry: str) -> str | list[Any] | None:
    """An entry of ``wav.scp`` as the page plays it: a path from the page's directory; of a segment
    [path, start, end] in seconds; null for an archive or a command, which no browser plays."""
    if not entry or is_pipe(entry) or re.search(r":\d+$", entry):
        return None
    segment = None if os.path.exists(entry) else _SEGMENT.fullmatch(entry)
    if segment:
        return [_relative(segment[1], out), float(segment[2]), float(segment[3])]
    return _relative(entry, out)


def _relative(path: str, out: Path) -> str:
    directory, name = os.path.split(path)
    return f"{_relative_directory(directory, out)}/{name}"


@functools.cache
def _relative_directory(directory: str, out: Path) -> str:
    return os.path.relpath(directory or ".", out)


def _pictures(block: _Block, budget: int) -> dict[str, Any]:
    """Spectrograms of the utterances on which the runs differ most, as far as ``budget`` bytes go.

    Utterance's place -> [distorted, clean], each (frames, bands) bytes in base64, or null.
    """
    spread = [_spread(errors) for errors in block.columns["errors"]]
    pictures = {}
    for place in sorted(range(len(spread)), key=lambda i: (-spread[i], i)):
        entries = [block.wavs[place], block.sources[place]]
        drawn = [_picture(entry) for entry in dict.fromkeys(entries)]
        budget -= sum(picture.size for picture in drawn if picture is not None)
        if budget < 0:
            break
        pictures[str(place)] = [_base64(p) for p in drawn]
    return pictures


def _spread(errors: Sequence[int | None]) -> int:
    known = [e for e in errors if e is not None]
    return max(known) - min(known) if known else 0


def _picture(entry: str) -> np.ndarray | None:
    """None where the audio is gone, or is something that reading does not know."""
    if not entry:
        return None
    try:
        return spectrogram(read_audio(entry))
    except (UserError, OSError):
        return None


def _base64(picture: np.ndarray | None) -> str | None:
    return None if picture is None else base64.b64encode(picture.tobytes()).decode("ascii")
