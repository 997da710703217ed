"""``scores.json``: what every recipe and task writes and the report reads.

One file is one system trained with one seed, tested under several conditions::

    {"schema": 1, "task": "asr", "system": "cdm2_dat", "seed": 0,
     "params": 850000, "rtf": 0.012, "audio_seconds": 540.5, "threads": 1, "device": "cpu",
     "conditions": [
       {"name": "noise_in_snr10", "snr_db": 10.0, "utterances": 151, "words": 604,
        "errors": {"sub": 31, "ins": 4, "del": 12}, "wer": 7.78, "cer": 3.1,
        "cer_no_space": 3.0, "accuracy": null}]}

Rates are per cent. ``params`` counts everything used to decode; ``rtf`` is decoding time / audio
time on ``device`` with ``threads`` CPU threads. What a task does not measure is null.

``counts.tsv`` beside it holds word counts by condition and utterance, for significance tests. In a
classification task an utterance counts as one word, right or substituted.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import read_json, write_atomic
from espnet_robust.score.counts import Counts
from espnet_robust.score.metrics import ACCURACY

T = TypeVar("T", "ConditionScore", "Scores")

SCHEMA = 1
COUNTS_HEADER = ("condition", "utterance", "words", "sub", "ins", "del")


@dataclass(frozen=True)
class ConditionScore:
    """Results under one condition.

    Args:
        name: of the condition; ``clean`` is the undistorted one.
        snr_db: signal-to-noise ratio in dB where the condition has one.
        utterances: how many were scored.
        words: words in the references.
        errors: ``{"sub": .., "ins": .., "del": ..}`` of words.
        wer, cer, cer_no_space: per cent, 0 or more; see ``counts`` for their definitions.
        accuracy: for a classification task, per cent.
    """

    name: str
    utterances: int
    snr_db: float | None = None
    words: int | None = None
    errors: Mapping[str, int] | None = None
    wer: float | None = None
    cer: float | None = None
    cer_no_space: float | None = None
    accuracy: float | None = None

    def __post_init__(self):
        _check_text(self, "name")
        _check_number(self, "utterances", int, low=1, required=True)
        _check_number(self, "snr_db", float)
        _check_number(self, "words", int, low=0)
        for rate in ("wer", "cer", "cer_no_space"):
            _check_number(self, rate, float, low=0)
        _check_number(self, "accuracy", float, low=0, high=100)
        if self.errors is not None:
            self._check_errors(self.errors)

    def _check_errors(self, errors: Mapping[str, int]) -> None:
        known = isinstance(errors, Mapping) and sorted(errors) == ["del", "ins", "sub"]
        if not known or not all(_is_number(n, int) and n >= 0 for n in errors.values()):
            raise ValueError(f"errors must be counts of sub, ins and del, not {errors!r}")
        if self.words and self.wer is not None:
            counted = 100 * sum(errors.values()) / self.words
            if not math.isclose(self.wer, counted, abs_tol=0.01):
                raise ValueError(f"wer {self.wer} disagrees with errors / words, {counted:.2f}")

    @classmethod
    def of_text(cls, name: str, snr_db: float | None, counts: Counts) -> "ConditionScore":
        """Error rates, from the counts of a corpus."""
        edits = counts.words
        return cls(
            name=name,
            snr_db=snr_db,
            utterances=counts.utterances,
            words=edits.ref,
            errors={"sub": edits.sub, "ins": edits.ins, "del": edits.dele},
            wer=counts.wer,
            cer=counts.cer,
            cer_no_space=counts.chars_no_space.percent,
        )

    @classmethod
    def of_labels(cls, name: str, snr_db: float | None, counts: Counts) -> "ConditionScore":
        """Accuracy, from counts in which each utterance is one word."""
        rate = counts.words.percent
        accuracy = None if rate is None else ACCURACY.value(rate)
        return cls(name=name, snr_db=snr_db, utterances=counts.utterances, accuracy=accuracy)


@dataclass(frozen=True)
class Scores:
    """Everything in a ``scores.json``; see the module's docstring.

    Args:
        task: asr, cls, and so on.
        system: name of the system; systems of several seeds share it.
        seed: of training.
        conditions: in the order in which reports show them; names are unique.
        params: parameters, or None.
        rtf: real-time factor of decoding, or None.
        audio_seconds: of audio decoded to measure it.
        threads: CPU threads it was measured with.
        device: what it was measured on: cpu, or the name of a GPU.
    """

    task: str
    system: str
    seed: int
    conditions: tuple[ConditionScore, ...]
    params: int | None = None
    rtf: float | None = None
    audio_seconds: float | None = None
    threads: int | None = None
    device: str | None = None

    def __post_init__(self):
        _check_text(self, "task")
        _check_text(self, "system")
        _check_number(self, "seed", int, required=True)
        _check_number(self, "params", int, low=1)
        _check_number(self, "rtf", float, low=0)
        _check_number(self, "audio_seconds", float, low=0)
        _check_number(self, "threads", int, low=1)
        if self.device is not None:
            _check_text(self, "device")
        names = [c.name for c in self.conditions]
        if not names:
            raise ValueError("no conditions in it")
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"conditions more than once: {', '.join(twice)}")

    def condition(self, name: str) -> ConditionScore | None:
        """The score under one condition, None where it was not tested."""
        return next((c for c in self.conditions if c.name == name), None)


def write_scores(path: str | Path, scores: Scores) -> None:
    """Write ``scores.json``, whole or not at all."""
    content = {"schema": SCHEMA, **dataclasses.asdict(scores)}
    write_atomic(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_scores(path: str | Path) -> Scores:
    """Read and check a ``scores.json``. Keys this version does not know are refused.

    Raises:
        UserError: missing, not JSON, of another schema, or with a value out of range.
    """
    content = read_json(path)
    version = content.pop("schema", None)
    if version != SCHEMA:
        raise UserError(
            f"{path}: schema {version!r}, this version reads {SCHEMA}; score the system again"
        )
    conditions = content.get("conditions")
    if not isinstance(conditions, list) or not all(isinstance(c, dict) for c in conditions):
        raise UserError(f"{path}: 'conditions' must be a list of objects")
    try:
        content["conditions"] = tuple(
            _from_json(ConditionScore, c, f"condition {c.get('name')!r}: ") for c in conditions
        )
        return _from_json(Scores, content)
    except ValueError as e:
        raise UserError(f"{path}: {e}") from e


def write_counts(path: str | Path, conditions: Mapping[str, Mapping[str, Counts]]) -> None:
    """Write ``counts.tsv``: condition name -> {utterance id -> Counts}, words only."""
    rows: list[tuple] = [COUNTS_HEADER]
    for name, utterances in conditions.items():
        for utt, counts in utterances.items():
            w = counts.words
            rows.append((name, utt, w.ref, w.sub, w.ins, w.dele))
    write_atomic(path, "".join("\t".join(map(str, row)) + "\n" for row in rows))


def read_counts(path: str | Path) -> dict[str, dict[str, tuple[int, int]]]:
    """Read ``counts.tsv``: condition name -> {utterance id -> (words, errors)}.

    Raises:
        UserError: missing, or not such a table.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as e:
        raise UserError(f"{path}: cannot be read: {e.strerror}") from e
    if not lines or tuple(lines[0].split("\t")) != COUNTS_HEADER:
        raise UserError(f"{path}: first line must be {' '.join(COUNTS_HEADER)}; score again")
    conditions: dict[str, dict[str, tuple[int, int]]] = {}
    for number, line in enumerate(lines[1:], 2):
        try:
            name, utt, words, *edits = line.split("\t")
            sub, ins, dele = map(int, edits)
            conditions.setdefault(name, {})[utt] = int(words), sub + ins + dele
        except ValueError:
            raise UserError(f"{path}:{number}: not a line of counts; score again") from None
    return conditions


def _from_json(cls: type[T], content: Mapping, where: str = "") -> T:
    known = {f.name: f for f in dataclasses.fields(cls)}
    unknown = sorted(set(content) - set(known))
    missing = [
        name
        for name, f in known.items()
        if f.default is dataclasses.MISSING and name not in content
    ]
    if unknown or missing:
        raise ValueError(f"{where}unknown keys {unknown}, missing keys {missing}")
    try:
        return cls(**content)
    except ValueError as e:
        raise ValueError(f"{where}{e}") from e


def _check_text(owner: object, field: str) -> None:
    value = getattr(owner, field)
    if not isinstance(value, str) or not value or any(c in value for c in "\t\n|,"):
        raise ValueError(f"{field} must be text without tab, newline, | or comma, not {value!r}")


def _is_number(value: Any, kind: type) -> bool:
    number = isinstance(value, int if kind is int else int | float)
    return number and not isinstance(value, bool) and math.isfinite(value)


def _check_number(
    owner: object,
    field: str,
    kind: type,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    required: bool = False,
) -> None:
    value = getattr(owner, field)
    if value is None and not required:
        return
    if not _is_number(value, kind) or not low <= value <= high:
        bounds = f" in [{low}, {high}]" if (low, high) != (-math.inf, math.inf) else ""
        article = "a whole number" if kind is int else "a number"
        raise ValueError(f"{field} must be {article}{bounds}, not {value!r}")
