"""The page's utterances: one block per condition, unpacked when the reader opens it."""

import functools
import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet_robust.common.errors import UserError
from espnet_robust.data.conditions import CLEAN
from espnet_robust.data.data_dir import iter_table, iter_wav
from espnet_robust.score.compared_file import Texts
from espnet_robust.score.page.places import Places, decoded_of, playable
from espnet_robust.score.page.spectrogram import pictures
from espnet_robust.score.reading import Run

SPECTROGRAM_BYTES = 3_000_000  # of all spectrograms in a page
_NFC = functools.partial(unicodedata.normalize, "NFC")


def blocks(runs: Sequence[Run], conditions: Sequence[str], out: Path) -> Iterator[dict[str, Any]]:
    """The utterances of each condition, JSON-able.

    Args:
        runs: all of the report.
        conditions: their names, in the order of the table.
        out: directory of the page; audio is named from there.

    Yields:
        for each condition columns with an item for each utterance: ``ids``, ``speakers``, ``refs``,
        ``words`` (of the reference; empty if not known), ``hyps`` and ``errors`` (one for each
        run; for a hypothesis see ``_shown``, errors are null where it was not tested), ``audio``
        and ``clean`` (see ``places.playable``), ``drawn`` (what distorted it); ``pictures`` holds
        spectrograms by place. A condition whose files cannot be read has ``problem`` instead.
    """
    budget = SPECTROGRAM_BYTES // max(1, len(conditions))
    for condition in conditions:
        try:
            yield _block(runs, condition, out, budget)
        except UserError as e:
            yield {"problem": str(e)}


def _block(runs: Sequence[Run], condition: str, out: Path, budget: int) -> dict[str, Any]:
    here = Places.of(runs, condition)
    refs = dict(iter_table(here.data_dir / here.table))
    spoken_by, wavs = _table(here.data_dir / "utt2spk"), _wavs(here)
    drawn = {utt: _record(text) for utt, text in _table(here.data_dir / "utt2distortion").items()}
    sources = {utt: here.entry(str(record.pop("source", ""))) for utt, record in drawn.items()}
    if here.run.scores.condition(CLEAN):
        sources |= _wavs(Places.of([here.run], CLEAN))
    speakers = sorted({spoken_by.get(utt, "") for utt in refs})
    place = {name: number for number, name in enumerate(speakers)}
    hyps = [_hypotheses(run, condition, here.table) for run in runs]
    changed = [run.compared.get(condition, {}) for run in runs]
    counts = here.run.counts.get(condition)
    wrong = [_errors(run, condition) for run in runs]
    errors = [[of_run.get(utt) for of_run in wrong] for utt in refs]
    audio = [wavs.get(utt, "") for utt in refs]
    clean = [sources.get(utt, "") for utt in refs] if condition != CLEAN else []
    return {
        "ids": list(refs),
        "speakerNames": speakers,
        "speakers": [place[spoken_by.get(utt, "")] for utt in refs],
        "refs": list(refs.values()),
        "words": counts.words[:, 0].tolist() if counts else [],
        "hyps": [
            [_shown(h, c.get(utt), utt, ref) for h, c in zip(hyps, changed, strict=True)]
            for utt, ref in refs.items()
        ],
        "errors": errors,
        "audio": [playable(entry, out) for entry in audio],
        "clean": [playable(entry, out) for entry in clean],
        "drawn": [drawn.get(utt) for utt in refs],
        "pictures": pictures([_spread(e) for e in errors], audio, clean, budget),
    }


def _wavs(places: Places) -> dict[str, str]:
    """Utterance -> entry of ``wav.scp``; paths are relative to the current directory."""
    if not (places.data_dir / "wav.scp").is_file():
        return {}
    return {utt: places.entry(entry) for utt, entry in iter_wav(places.data_dir)}


def _table(path: Path) -> dict[str, str]:
    """A table, or {} if there is none."""
    return dict(iter_table(path)) if path.is_file() else {}


def _record(text: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except ValueError:
        return {"record": text}
    return record if isinstance(record, dict) else {"record": text}


def _hypotheses(run: Run, condition: str, table: str) -> dict[str, str] | None:
    """The hypotheses; None if they are gone."""
    path = decoded_of(run, condition)
    return dict(iter_table(path / table)) if path and (path / table).is_file() else None


def _shown(
    hyps: Mapping[str, str] | None, compared: Texts | None, utt: str, ref: str
) -> list[str] | str | bool | None:
    """A hypothesis as it was scored, with the reference before it if that was scored otherwise than
    it is written; None if they are equal, False if the hypothesis is gone."""
    if hyps is None:
        return False
    was, heard = compared or (_NFC(ref), _NFC(hyps.get(utt, "")))
    if was != ref:
        return [was, heard]
    return None if heard == ref else heard


def _errors(run: Run, condition: str) -> dict[str, int]:
    """Word errors by utterance id."""
    counts = run.counts.get(condition)
    return dict(zip(counts.ids, counts.words[:, 1:].sum(1).tolist(), strict=True)) if counts else {}


def _spread(errors: Sequence[int | None]) -> int:
    """The difference between the most and the fewest errors of the runs."""
    known = [e for e in errors if e is not None]
    return max(known) - min(known) if known else 0
