"""Facts on the condition of a test set: what was done to the speech, its rooms, its speakers."""

import json
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from espnet_robust.common.files import read_json
from espnet_robust.data.conditions import CLEAN, Condition
from espnet_robust.data.data_dir import iter_table
from espnet_robust.score.counts_file import UNKNOWN

_ADDITIVE = ("noise", "white", "coloured", "babble")  # kinds that have an SNR


def meaning(data_dir: Path, condition: Condition) -> str:
    """What was done to the speech, in words, from ``distortion.json``."""
    path = data_dir / "distortion.json"
    if not path.is_file():
        return "as recorded" if condition.name == CLEAN else "recorded so"
    config = read_json(path).get("config")
    if not isinstance(config, dict):
        return "distorted"
    chain = config.get("chain")
    if not isinstance(chain, list):
        return "distorted"
    return ", then ".join(_step(step, config.get("snr_db")) for step in chain)


def rt60_of(data_dir: Path) -> float | None:
    """The median over utterances of the reverberation time of their rooms, in seconds.

    It is known if every utterance has a room from a data dir with ``utt2rt60``.
    """
    path = data_dir / "utt2distortion"
    if not path.is_file():
        return None
    known: dict[str, dict[str, str]] = {}
    found = []
    for _, text in iter_table(path):
        rooms = list(_rooms(json.loads(text).get("steps", [])))
        for rir, _ in rooms:
            if rir not in known:
                table = Path(rir) / "utt2rt60"
                known[rir] = dict(iter_table(table)) if table.is_file() else {}
        times = [known[rir].get(item) for rir, item in rooms]
        if not times or None in times:
            return None
        found.append(max(float(time) for time in times if time is not None))
    return round(statistics.median(found), 3) if found else None


def speakers_of(data_dir: Path, ids: tuple[str, ...]) -> tuple[str, ...]:
    """The speaker of each utterance, ``-`` if ``utt2spk`` does not have it."""
    path = data_dir / "utt2spk"
    known = dict(iter_table(path)) if path.is_file() else {}
    return tuple(known.get(utt, UNKNOWN) for utt in ids)


def _rooms(steps: Any) -> Iterator[tuple[str, str]]:
    for step in steps:
        if step.get("kind") == "rir":
            yield step["rir"], step["item"]


def _step(step: Any, snr_db: Any) -> str:
    """A step of a chain in words.

    >>> _step({"name": "noise", "noise": "data/noise_test"}, 10)
    'noise (data/noise_test) at 10 dB'
    >>> _step({"one_of": ["clean", {"name": "clip", "overdrive_db": 15}]}, None)
    'one of: clean; clip (overdrive_db 15)'
    """
    if isinstance(step, str):
        return f"{step} at {_value(snr_db)} dB" if _has(step, snr_db) else step
    if not isinstance(step, Mapping):
        return str(step)
    for key, joint in (("one_of", "; "), ("sequence", ", then ")):
        if isinstance(step.get(key), list):
            inner = joint.join(_step(one, snr_db) for one in step[key])
            return f"one of: {inner}" if key == "one_of" else inner
    name = str(step.get("name"))
    snr = step.get("snr_db", snr_db)
    options = [
        _value(value) if isinstance(value, str) and "/" in value else f"{key} {_value(value)}"
        for key, value in step.items()
        if key not in ("name", "label", "snr_db", "weight")
    ]
    text = f"{name} ({', '.join(options)})" if options else name
    return f"{text} at {_value(snr)} dB" if _has(name, snr) or "snr_db" in step else text


def _has(name: str, snr_db: Any) -> bool:
    return name in _ADDITIVE and snr_db is not None


def _value(value: Any) -> str:
    """A parameter as a reader sees it; of a directory of this machine, its name."""
    if isinstance(value, str):
        return Path(value).name if Path(value).is_absolute() else value
    if isinstance(value, list):
        return " to ".join(map(_value, value))
    if isinstance(value, Mapping):
        return "/".join(_value(v) for v in value.get("choice", value.values()))
    return f"{value:g}" if isinstance(value, float) else str(value)
