"""``scores.json``, which every recipe and task writes and the report reads.

One file is for one system trained with one seed and tested in several conditions::

    {"schema": 2, "task": "asr", "system": "cdm2_dat", "seed": 0,
     "params": 850000, "speech_model_params": 610000, "macs": 93000000,
     "rtf": 0.012, "audio_seconds": 540.5, "threads": 1, "device": "cpu",
     "decoded": "exp/short/cdm2_dat_seed0/decode/test", "table": "text",
     "alignment": "fewest", "normalisation": {},
     "conditions": [
       {"name": "noise_in_snr10", "snr_db": 10.0, "rt60": null,
        "meaning": "noise (data/noise_test) at 10 dB", "data_dir": "data/test_noise_in_snr10",
        "reference": "0d7b...", "utterances": 151, "speakers": 8, "missing": 0, "empty": 0,
        "words": 604, "errors": {"sub": 31, "ins": 4, "del": 12},
        "chars": 3127, "char_errors": {"sub": 60, "ins": 11, "del": 26},
        "wer": 7.78, "cer": 3.1, "cer_no_space": 3.0, "accuracy": null}]}

Rates are per cent. ``params`` counts everything used to decode, ``speech_model_params`` the
student, teacher or filter bank in it; ``macs`` are its multiply-accumulates per second of audio.
``rtf`` is decoding time / audio time on ``device`` with ``threads`` CPU threads. Values that a task
does not measure are null. Directories are relative to where the scoring ran.

``counts.tsv`` beside it holds the errors of every utterance: ``counts_file.py``.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import read_json, write_atomic
from espnet_robust.score.alignment import ALIGNMENTS
from espnet_robust.score.counts import Counts, Edits
from espnet_robust.score.metrics import ACCURACY

T = TypeVar("T", "ConditionScore", "Scores")

SCHEMA = 2


@dataclass(frozen=True)
class ConditionScore:
    """Results in one condition.

    Args:
        name: name of the condition; ``clean`` is the undistorted one.
        snr_db: signal-to-noise ratio in dB, if the condition has one.
        utterances: number of scored utterances.
        rt60: reverberation time of its rooms in seconds, the median over utterances.
        meaning: what was done to the speech, in words.
        data_dir: its test set.
        reference: digest of the references in the form in which they were scored; systems with
            different ones cannot be compared.
        speakers: number of speakers, if ``utt2spk`` has them.
        missing: utterances without a hypothesis, whose words count as deleted.
        empty: utterances with an empty reference, which add insertions only.
        words, chars: in the references.
        errors, char_errors: ``{"sub": .., "ins": .., "del": ..}`` of these.
        wer, cer, cer_no_space: per cent, 0 or more; see ``counts`` for their definitions.
        accuracy: for a classification task, per cent.
    """

    name: str
    utterances: int
    snr_db: float | None = None
    rt60: float | None = None
    meaning: str | None = None
    data_dir: str | None = None
    reference: str | None = None
    speakers: int | None = None
    missing: int = 0
    empty: int = 0
    words: int | None = None
    errors: Mapping[str, int] | None = None
    chars: int | None = None
    char_errors: Mapping[str, int] | None = None
    wer: float | None = None
    cer: float | None = None
    cer_no_space: float | None = None
    accuracy: float | None = None

    def __post_init__(self) -> None:
        _check_text(self, "name")
        _check_number(self, "utterances", int, low=1, required=True)
        _check_number(self, "snr_db", float)
        _check_number(self, "rt60", float, low=0)
        for text in ("meaning", "data_dir", "reference"):
            _check_line(self, text)
        _check_number(self, "speakers", int, low=1)
        for count in ("missing", "empty"):
            _check_number(self, count, int, low=0, required=True)
        for count in ("words", "chars"):
            _check_number(self, count, int, low=0)
        for rate in ("wer", "cer", "cer_no_space"):
            _check_number(self, rate, float, low=0)
        _check_number(self, "accuracy", float, low=0, high=100)
        _check_errors(self, "errors", "words", "wer")
        _check_errors(self, "char_errors", "chars", "cer")

    @classmethod
    def of_text(cls, name: str, counts: Counts, **facts: Any) -> "ConditionScore":
        """Error rates, from the counts of a corpus.

        Args:
            facts: of the condition: fields of this class.
        """
        return cls(
            name=name,
            utterances=counts.utterances,
            words=counts.words.ref,
            errors=_as_mapping(counts.words),
            chars=counts.chars.ref,
            char_errors=_as_mapping(counts.chars),
            wer=counts.wer,
            cer=counts.cer,
            cer_no_space=counts.cer_no_space,
            **facts,
        )

    @classmethod
    def of_labels(cls, name: str, counts: Counts, **facts: Any) -> "ConditionScore":
        """Accuracy, from counts in which each utterance is one word."""
        rate = counts.words.percent
        accuracy = None if rate is None else ACCURACY.value(rate)
        return cls(name=name, utterances=counts.utterances, accuracy=accuracy, **facts)


@dataclass(frozen=True)
class Scores:
    """Everything in a ``scores.json``; see the module's docstring.

    Args:
        task: asr, cls, and so on.
        system: name of the system; systems of several seeds share it.
        seed: of training.
        conditions: in the order in which reports show them; names are unique.
        params: parameters, or None.
        speech_model_params: of these, those of the student, teacher or filter bank.
        macs: multiply-accumulates of the speech model for a second of audio.
        rtf: real-time factor of decoding, or None.
        audio_seconds: of audio decoded to measure it.
        threads: CPU threads it was measured with.
        device: what it was measured on: cpu, or the name of a GPU.
        decoded: directory with the hypotheses, ``CONDITION/TABLE``.
        table: of references and hypotheses, ``text`` or one of labels.
        alignment: a key of ``alignment.ALIGNMENTS``.
        normalisation: options that differ from the defaults; see ``Normalisation.record``.
    """

    task: str
    system: str
    seed: int
    conditions: tuple[ConditionScore, ...]
    params: int | None = None
    speech_model_params: int | None = None
    macs: int | None = None
    rtf: float | None = None
    audio_seconds: float | None = None
    threads: int | None = None
    device: str | None = None
    decoded: str | None = None
    table: str = "text"
    alignment: str = "fewest"
    normalisation: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        _check_text(self, "task")
        _check_text(self, "system")
        _check_number(self, "seed", int, required=True)
        _check_number(self, "params", int, low=1)
        _check_number(self, "speech_model_params", int, low=0)
        _check_number(self, "macs", int, low=0)
        _check_number(self, "rtf", float, low=0)
        _check_number(self, "audio_seconds", float, low=0)
        _check_number(self, "threads", int, low=1)
        if self.device is not None:
            _check_text(self, "device")
        _check_line(self, "decoded")
        _check_text(self, "table")
        if self.alignment not in ALIGNMENTS or not isinstance(self.normalisation, Mapping):
            raise ValueError("alignment or normalisation is not one of this version")
        names = [c.name for c in self.conditions]
        if not names:
            raise ValueError("no conditions in it")
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"conditions more than once: {', '.join(twice)}")

    @property
    def normalised(self) -> str:
        """How texts were normalised, in words; empty if in no unusual way."""
        return ", ".join(f"{key} {value}" for key, value in self.normalisation.items())

    def condition(self, name: str) -> ConditionScore | None:
        """The score in one condition; None if it was not tested."""
        return next((c for c in self.conditions if c.name == name), None)


def write_scores(path: str | Path, scores: Scores) -> None:
    """Write ``scores.json``, whole or not at all."""
    content = {"schema": SCHEMA, **dataclasses.asdict(scores)}
    write_atomic(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_scores(path: str | Path) -> Scores:
    """Read and check a ``scores.json``. Unknown keys are refused.

    Raises:
        UserError: missing, not JSON, of another schema, or with a value out of range.
    """
    content = read_json(path)
    version = content.pop("schema", None)
    if version != SCHEMA:
        raise UserError(
            f"{path}: schema {version!r}, this version reads {SCHEMA}; score the system again"
            " (in a recipe: ./run.sh --stage 9)"
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


def _from_json(cls: type[T], content: Mapping, where: str = "") -> T:
    known = {f.name: f for f in dataclasses.fields(cls)}
    unknown = sorted(set(content) - set(known))
    missing = [
        name
        for name, f in known.items()
        if f.default is f.default_factory is dataclasses.MISSING and name not in content
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


def _check_line(owner: object, field: str) -> None:
    value = getattr(owner, field)
    if value is not None and (not isinstance(value, str) or not value.isprintable()):
        raise ValueError(f"{field} must be a line of text, not {value!r}")


def _as_mapping(edits: Edits) -> dict[str, int]:
    return {"sub": edits.sub, "ins": edits.ins, "del": edits.dele}


def _check_errors(owner: object, field: str, units: str, rate: str) -> None:
    errors, count, percent = (getattr(owner, name) for name in (field, units, rate))
    if errors is None:
        return
    known = isinstance(errors, Mapping) and sorted(errors) == ["del", "ins", "sub"]
    if not known or not all(_is_number(n, int) and n >= 0 for n in errors.values()):
        raise ValueError(f"{field} must be counts of sub, ins and del, not {errors!r}")
    if count and percent is not None:
        counted = 100 * sum(errors.values()) / count
        if not math.isclose(percent, counted, abs_tol=0.01):
            raise ValueError(f"{rate} {percent} disagrees with {field} / {units}, {counted:.2f}")


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
