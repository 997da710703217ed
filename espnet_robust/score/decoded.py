"""Score the output of a decoder.

For each condition a decoder writes ``DECODE_DIR/CONDITION/text`` (utterance id and hypothesis,
which may be empty) or a table of labels, and once ``DECODE_DIR/decode.json``::

    {"params": 850000, "speech_model_params": 610000, "macs": 93000000, "rtf": 0.012,
     "audio_seconds": 540.5, "threads": 1, "device": "cpu"}
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import read_json
from espnet_robust.common.made_of import sha256
from espnet_robust.data.conditions import Condition, read_condition
from espnet_robust.data.data_dir import iter_table
from espnet_robust.score.counts import UtteranceCounts, score_utterances
from espnet_robust.score.counts_file import UNKNOWN, UtteranceErrors
from espnet_robust.score.facts import meaning, rt60_of, speakers_of
from espnet_robust.score.normalise import Normalisation
from espnet_robust.score.schema import ConditionScore, Scores

COSTS = (
    "params", "speech_model_params", "macs", "rtf", "audio_seconds", "threads", "device",
)  # fmt: skip


@dataclass(frozen=True)
class Scoring:
    """How a system is scored.

    Args:
        system, seed, task: see ``Scores``.
        label: table of a classification task, such as ``utt2label``: accuracy is measured instead.
        strict: refuse utterances without a hypothesis, rather than count their words as deleted.
        alignment: a key of ``alignment.ALIGNMENTS``.
        normalisation: applied to references and hypotheses, not to labels.
    """

    system: str
    seed: int
    task: str = "asr"
    label: str = ""
    strict: bool = False
    alignment: str = "fewest"
    normalisation: Normalisation = field(default_factory=Normalisation)

    @property
    def table(self) -> str:
        """File of references and hypotheses."""
        return self.label or "text"

    def record(self) -> dict[str, Any]:
        """The options, for ``made_of.json``."""
        options = {one.name: getattr(self, one.name) for one in fields(self)}
        return options | {"normalisation": self.normalisation.record()}


def score_decoded(
    data_dirs: Sequence[str | Path], decode_dir: str | Path, scoring: Scoring
) -> tuple[Scores, dict[str, UtteranceErrors]]:
    """Score every condition of a system.

    Args:
        data_dirs: test sets with references, in the order of the report.
        decode_dir: the decoder's output; without ``decode.json``, costs stay unknown.

    Returns:
        The scores, and {condition name -> errors by utterance} behind them.

    Raises:
        UserError: something is missing or does not fit; the message names the file.
    """
    decode_dir = Path(decode_dir)
    if not decode_dir.is_dir():
        raise UserError(f"{decode_dir}: no such directory; was {scoring.system} decoded?")
    costs = _costs(decode_dir / "decode.json")
    scores: dict[str, ConditionScore] = {}
    errors: dict[str, UtteranceErrors] = {}
    for data_dir in map(Path, data_dirs):
        condition = read_condition(data_dir)
        if condition.name in scores:
            raise UserError(f"{data_dir}: condition {condition.name!r} was scored already")
        scores[condition.name], errors[condition.name] = _score(
            data_dir, condition, decode_dir / condition.name / scoring.table, scoring
        )
    try:
        return Scores(
            scoring.task, scoring.system, scoring.seed, tuple(scores.values()), **costs,
            decoded=str(decode_dir), table=scoring.table, alignment=scoring.alignment,
            normalisation=scoring.normalisation.record(),
        ), errors  # fmt: skip
    except ValueError as e:
        raise UserError(f"{decode_dir}: {e}") from e


def scored_of(conditions: Mapping[str, Path], decode_dir: Path, scoring: Scoring) -> dict[str, Any]:
    """What decides the scores of a system; see ``made_of.Output``.

    Args:
        conditions: name -> data dir.
    """
    table = scoring.table
    return {
        "options": scoring.record(),
        **{
            f"condition {name}": {
                "reference": sha256(data_dir / table),
                "speakers": sha256(data_dir / "utt2spk"),
                "decoded": sha256(decode_dir / name / table),
            }
            for name, data_dir in conditions.items()
        },
        "decode.json": sha256(decode_dir / "decode.json"),
    }


def _costs(path: Path) -> dict[str, Any]:
    """The values of ``COSTS`` in ``decode.json``; empty if there is no such file."""
    content = read_json(path) if path.exists() else {}
    return {name: content.get(name) for name in COSTS}


def _score(
    data_dir: Path, condition: Condition, decoded: Path, scoring: Scoring
) -> tuple[ConditionScore, UtteranceErrors]:
    """One condition."""
    ref = dict(iter_table(data_dir / scoring.table))
    counts = _count(ref, dict(iter_table(decoded)), str(decoded), scoring)
    if len(counts.empty) == len(ref):
        raise UserError(f"{data_dir / scoring.table}: every reference is empty, so no rate")
    speakers = speakers_of(data_dir, counts.ids)
    known = set(speakers) - {UNKNOWN}
    facts = {
        "snr_db": condition.snr_db,
        "rt60": rt60_of(data_dir),
        "meaning": meaning(data_dir, condition),
        "data_dir": str(data_dir),
        "reference": _digest(ref),
        "speakers": len(known) or None,
        "missing": len(counts.missing),
        "empty": len(counts.empty),
    }
    score = ConditionScore.of_labels if scoring.label else ConditionScore.of_text
    try:
        scored = score(condition.name, counts.total, **facts)
    except ValueError as e:
        raise UserError(f"{data_dir}: {e}") from e
    return scored, UtteranceErrors(counts.ids, speakers, counts.words, counts.chars)


def _count(
    ref: Mapping[str, str], hyp: Mapping[str, str], where: str, scoring: Scoring
) -> UtteranceCounts:
    """The errors of every utterance; a label counts as one word, however many it has."""
    if not scoring.label:
        return score_utterances(
            ref, hyp, strict=scoring.strict, where=where, normalise=scoring.normalisation,
            alignment=scoring.alignment,
        )  # fmt: skip
    counts = score_utterances(ref, hyp, strict=scoring.strict, where=where)
    wrong = counts.words[:, 1:].any(1)
    nothing = np.zeros_like(counts.words)
    words = nothing.copy()
    words[:, 0], words[:, 1] = 1, wrong
    return UtteranceCounts(counts.ids, words, nothing, nothing[:, :2], counts.missing)


def _digest(ref: Mapping[str, str]) -> str:
    lines = "".join(f"{utt} {text}\n" for utt, text in ref.items())
    return hashlib.sha256(lines.encode()).hexdigest()[:16]
