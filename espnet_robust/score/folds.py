"""Cross-validation: the scores of one system on several folds, averaged."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.score.counts_file import (
    UNKNOWN,
    UtteranceErrors,
    joined,
    read_counts,
    write_counts,
)
from espnet_robust.score.schema import ConditionScore, Scores, read_scores, write_scores


def average_folds(folds: Sequence[Scores]) -> Scores:
    """The mean accuracy over folds of equal weight, under every condition.

    Parameters and real-time factors are averaged too; utterances and audio are summed.

    Raises:
        UserError: there are no folds, or no accuracies, or folds differ in system, seed, task or
            conditions.
    """
    if not folds:
        raise UserError("no folds to average")
    first = folds[0]
    for fold in folds[1:]:
        _check_same(first, fold)
    by_condition = zip(*(fold.conditions for fold in folds), strict=True)
    conditions = tuple(_mean(first.system, same) for same in by_condition)
    params = [fold.params for fold in folds if fold.params is not None]
    speech = [f.speech_model_params for f in folds if f.speech_model_params is not None]
    rtf = [fold.rtf for fold in folds if fold.rtf is not None]
    seconds = [fold.audio_seconds for fold in folds if fold.audio_seconds is not None]
    return Scores(
        task=first.task,
        system=first.system,
        seed=first.seed,
        conditions=conditions,
        params=round(statistics.fmean(params)) if params else None,
        speech_model_params=round(statistics.fmean(speech)) if speech else None,
        macs=first.macs,
        rtf=statistics.fmean(rtf) if rtf else None,
        audio_seconds=sum(seconds) if seconds else None,
        threads=first.threads,
        device=first.device,
    )


def _check_same(a: Scores, b: Scores) -> None:
    for what in ("task", "system", "seed", "threads", "device"):
        one, other = getattr(a, what), getattr(b, what)
        if one != other:
            raise UserError(f"folds of different {what} have no mean: {one!r}, {other!r}")
    if [c.name for c in a.conditions] != [c.name for c in b.conditions]:
        raise UserError(f"folds of {a.system} were tested under different conditions")


def _mean(system: str, folds: Sequence[ConditionScore]) -> ConditionScore:
    """The mean accuracy under one condition."""
    rates = [score.accuracy for score in folds if score.accuracy is not None]
    if len(rates) < len(folds):
        raise UserError(f"a fold of {system} has no accuracy of {folds[0].name}")
    return ConditionScore(
        name=folds[0].name,
        snr_db=folds[0].snr_db,
        rt60=folds[0].rt60,
        meaning=folds[0].meaning,
        missing=sum(score.missing for score in folds),
        utterances=sum(score.utterances for score in folds),
        accuracy=statistics.fmean(rates),
    )


def write_average(out: Path, folds: Sequence[Path]) -> Scores:
    """Write OUT/scores.json and OUT/counts.tsv from those in the directories ``folds``.

    ``counts.tsv`` has the utterances of all folds; confidence intervals are over their speakers, so
    a large fold weighs more in them.

    Raises:
        UserError: see ``average_folds``; a file is missing, or an utterance is in two folds.
    """
    scores = average_folds([read_scores(fold / "scores.json") for fold in folds])
    parts: dict[str, list[UtteranceErrors]] = {c.name: [] for c in scores.conditions}
    seen: set[tuple[str, str]] = set()
    for fold in folds:
        for condition, errors in read_counts(fold / "counts.tsv").items():
            for utt in errors.ids:
                if (condition, utt) in seen:
                    raise UserError(f"{fold}: {utt} is in another fold too")
                seen.add((condition, utt))
            parts[condition].append(errors)
    counts = {condition: joined(errors) for condition, errors in parts.items()}
    scores = _with_speakers(scores, counts)
    out.mkdir(parents=True, exist_ok=True)
    write_counts(out / "counts.tsv", counts)
    write_scores(out / "scores.json", scores)
    return scores


def _with_speakers(scores: Scores, counts: Mapping[str, UtteranceErrors]) -> Scores:
    """Scores with the number of speakers in each condition; a speaker may be in several folds."""
    known = {condition: {*errors.speakers} - {UNKNOWN} for condition, errors in counts.items()}
    conditions = (
        dataclasses.replace(c, speakers=len(known[c.name]) or None) for c in scores.conditions
    )
    return dataclasses.replace(scores, conditions=tuple(conditions))
