"""From what a decoder wrote to scores.

A decoder writes, for each condition, ``DECODE_DIR/CONDITION/text`` (utterance id and hypothesis,
which may be empty), or a table of labels, and, once, ``DECODE_DIR/decode.json``::

    {"params": 850000, "rtf": 0.012, "audio_seconds": 540.5, "threads": 1,
     "device": "cpu"}
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from espnet_robust.data.conditions import read_condition
from espnet_robust.data.data_dir import iter_table
from espnet_robust.errors import UserError
from espnet_robust.files import read_json
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
        decode_dir: of the decoder. Without ``decode.json`` in it, parameters and real-time factor
            stay unknown.
        system, seed, task: as in ``Scores``.
        label: table with the classes of a classification task, such as ``utt2label``: accuracy is
            measured in place of error rates, and an utterance counts as one word, right or wrong.
        missing: as of ``score_utterances``.

    Returns:
        the scores, and {condition name -> {utterance id -> Counts}} behind them.

    Raises:
        UserError: what is missing or does not fit, by file.
    """
    decode_dir = Path(decode_dir)
    if not decode_dir.is_dir():
        raise UserError(f"{decode_dir}: no such directory; was {system} decoded?")
    costs = {}
    if (decode_dir / "decode.json").exists():
        content = read_json(decode_dir / "decode.json")
        costs = {name: content.get(name) for name in COSTS}
    results, counts = [], {}
    for data_dir in map(Path, data_dirs):
        condition = read_condition(data_dir)
        if condition.name in counts:
            raise UserError(f"{data_dir}: condition {condition.name!r} was scored already")
        hyp = decode_dir / condition.name / (label or "text")
        utterances = score_utterances(
            dict(iter_table(data_dir / (label or "text"))),
            dict(iter_table(hyp)),
            missing=missing,
            where=str(hyp),
        )
        if label:
            utterances = {utt: _right_or_wrong(edits) for utt, edits in utterances.items()}
        counts[condition.name] = utterances
        results.append((condition, total(utterances.values())))
    try:
        score = ConditionScore.from_labels if label else ConditionScore.from_counts
        conditions = tuple(score(c.name, c.snr_db, n) for c, n in results)
        return Scores(task, system, seed, conditions, **costs), counts
    except ValueError as e:
        raise UserError(f"{decode_dir}: {e}") from e


def _right_or_wrong(counts: Counts) -> Counts:
    return Counts(utterances=1, words=Edits(ref=1, sub=int(counts.words.errors > 0)))
