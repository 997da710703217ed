"""Scores of what a decoder wrote.

For each condition a decoder writes ``DECODE_DIR/CONDITION/text`` (utterance id and hypothesis,
which may be empty) or a table of labels, and once ``DECODE_DIR/decode.json``::

    {"params": 850000, "rtf": 0.012, "audio_seconds": 540.5, "threads": 1,
     "device": "cpu"}
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from espnet_robust.common.errors import UserError
from espnet_robust.common.files import read_json
from espnet_robust.common.made_of import sha256
from espnet_robust.data.conditions import Condition, read_condition
from espnet_robust.data.data_dir import iter_table
from espnet_robust.score.counts import Counts, Edits, score_utterances, total
from espnet_robust.score.schema import ConditionScore, Scores

COSTS = ("params", "rtf", "audio_seconds", "threads", "device")


def score_decoded(
    data_dirs: Sequence[str | Path],
    decode_dir: str | Path,
    *,
    system: str,
    seed: int,
    task: str = "asr",
    label: str = "",
    missing: Literal["refuse", "delete"] = "refuse",
) -> tuple[Scores, dict[str, dict[str, Counts]]]:
    """Score every condition of a system.

    Args:
        data_dirs: test sets with reference ``text``, in the order of the report.
        decode_dir: what the decoder wrote; without ``decode.json``, costs stay unknown.
        system, seed, task: see ``Scores``.
        label: table of a classification task, such as ``utt2label``: accuracy is measured instead.
        missing: see ``score_utterances``.

    Returns:
        the scores, and {condition name -> {utterance id -> Counts}} behind them.

    Raises:
        UserError: what is missing or does not fit, by file.
    """
    decode_dir = Path(decode_dir)
    if not decode_dir.is_dir():
        raise UserError(f"{decode_dir}: no such directory; was {system} decoded?")
    costs = _costs(decode_dir / "decode.json")
    counted = _count_all(map(Path, data_dirs), decode_dir, label, missing)
    score = ConditionScore.of_labels if label else ConditionScore.of_text
    try:
        conditions = (score(c.name, c.snr_db, total(n.values())) for c, n in counted.items())
        scores = Scores(task, system, seed, tuple(conditions), **costs)
    except ValueError as e:
        raise UserError(f"{decode_dir}: {e}") from e
    return scores, {c.name: utterances for c, utterances in counted.items()}


def scored_of(
    conditions: Mapping[str, Path],
    decode_dir: Path,
    system: str,
    seed: int,
    task: str = "asr",
    label: str = "",
    missing: str = "refuse",
) -> dict[str, Any]:
    """What decides the scores of a system; see ``made_of.Output``.

    Args:
        conditions: name -> data dir.
    """
    table = label or "text"
    return {
        "options": {"system": system, "seed": seed, "task": task, "label": label}
        | {"missing": missing},
        **{
            f"condition {name}": {
                "reference": sha256(data_dir / table),
                "decoded": sha256(decode_dir / name / table),
            }
            for name, data_dir in conditions.items()
        },
        "decode.json": sha256(decode_dir / "decode.json"),
    }


def _costs(path: Path) -> dict[str, Any]:
    """What ``decode.json`` says of ``COSTS``; nothing where there is no such file."""
    content = read_json(path) if path.exists() else {}
    return {name: content.get(name) for name in COSTS}


def _count_all(
    data_dirs: Iterable[Path], decode_dir: Path, label: str, missing: Literal["refuse", "delete"]
) -> dict[Condition, dict[str, Counts]]:
    """The errors of every utterance under every condition."""
    counted: dict[Condition, dict[str, Counts]] = {}
    for data_dir in map(Path, data_dirs):
        condition = read_condition(data_dir)
        if any(condition.name == c.name for c in counted):
            raise UserError(f"{data_dir}: condition {condition.name!r} was scored already")
        counted[condition] = _count(data_dir, decode_dir / condition.name, label, missing)
    return counted


def _count(
    data_dir: Path, decoded: Path, label: str, missing: Literal["refuse", "delete"]
) -> dict[str, Counts]:
    """The errors of every utterance under one condition."""
    table = label or "text"
    ref, hyp = (dict(iter_table(directory / table)) for directory in (data_dir, decoded))
    utterances = score_utterances(ref, hyp, missing=missing, where=str(decoded / table))
    if label:
        return {utt: _right_or_wrong(counts) for utt, counts in utterances.items()}
    return utterances


def _right_or_wrong(counts: Counts) -> Counts:
    """A label counts as one word, however many it has."""
    return Counts(utterances=1, words=Edits(ref=1, sub=int(counts.words.errors > 0)))
