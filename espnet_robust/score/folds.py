"""Cross-validation: the scores of one system on several folds as one."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.errors import UserError
from espnet_robust.files import write_atomic
from espnet_robust.score.schema import (
    COUNTS_HEADER,
    ConditionScore,
    Scores,
    read_counts,
    read_scores,
    write_scores,
)


def average_folds(folds: Sequence[Scores]) -> Scores:
    """The mean accuracy over the folds, each counting the same, under every condition.

    Parameters and real-time factor are means too; utterances and audio are sums.

    Raises:
        UserError: other than one system, seed, task and list of conditions; not a task with
            accuracy.
    """
    if not folds:
        raise UserError("no folds to average")
    first = folds[0]
    for fold in folds[1:]:
        for what in ("task", "system", "seed", "threads", "device"):
            a, b = getattr(first, what), getattr(fold, what)
            if a != b:
                raise UserError(f"folds of different {what} have no mean: {a!r}, {b!r}")
        if [c.name for c in fold.conditions] != [c.name for c in first.conditions]:
            raise UserError(f"folds of {first.system} were tested under different conditions")
    conditions = []
    for same in zip(*(fold.conditions for fold in folds), strict=True):
        rates = [score.accuracy for score in same]
        if None in rates:
            raise UserError(f"a fold of {first.system} has no accuracy of {same[0].name}")
        conditions.append(
            ConditionScore(
                name=same[0].name,
                snr_db=same[0].snr_db,
                utterances=sum(score.utterances for score in same),
                accuracy=statistics.fmean(rates),
            )
        )
    params = [fold.params for fold in folds if fold.params is not None]
    rtf = [fold.rtf for fold in folds if fold.rtf is not None]
    seconds = [fold.audio_seconds for fold in folds if fold.audio_seconds is not None]
    return Scores(
        task=first.task,
        system=first.system,
        seed=first.seed,
        conditions=tuple(conditions),
        params=round(statistics.fmean(params)) if params else None,
        rtf=statistics.fmean(rtf) if rtf else None,
        audio_seconds=sum(seconds) if seconds else None,
        threads=first.threads,
        device=first.device,
    )


def write_average(out: Path, folds: Sequence[Path]) -> Scores:
    """Write OUT/scores.json and OUT/counts.tsv from those in the directories ``folds``.

    ``counts.tsv`` has the utterances of all folds, so that confidence intervals are over all of
    them: there a large fold counts more.

    Raises:
        UserError: as ``average_folds``; a file that is missing; an utterance in two folds.
    """
    scores = average_folds([read_scores(fold / "scores.json") for fold in folds])
    rows: dict[tuple[str, str], tuple] = {}
    for fold in folds:
        for condition, utterances in read_counts(fold / "counts.tsv").items():
            for utt, (words, errors) in utterances.items():
                if (condition, utt) in rows:
                    raise UserError(f"{fold}: {utt} is in another fold too")
                rows[condition, utt] = (condition, utt, words, errors, 0, 0)
    order = {c.name: i for i, c in enumerate(scores.conditions)}
    table = [COUNTS_HEADER, *sorted(rows.values(), key=lambda row: (order[row[0]], row[1]))]
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "counts.tsv", "".join("\t".join(map(str, row)) + "\n" for row in table))
    write_scores(out / "scores.json", scores)
    return scores
