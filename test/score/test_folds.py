"""Scores of folds as one."""

import numpy as np
import pytest

from espnet_robust.bin.average_folds import main
from espnet_robust.common.errors import UserError
from espnet_robust.score.counts_file import UtteranceErrors, read_counts, write_counts
from espnet_robust.score.folds import average_folds
from espnet_robust.score.schema import ConditionScore, Scores, read_scores, write_scores


def fold(clean: float, noisy: float, utterances: int, **options) -> Scores:
    conditions = (
        ConditionScore("clean", utterances, accuracy=clean),
        ConditionScore("noise_snr5", utterances, snr_db=5.0, accuracy=noisy),
    )
    known = {"task": "cls", "system": "teacher", "seed": 0, "params": 10, "rtf": 0.1}
    return Scores(**known | {"conditions": conditions} | options)


def test_each_fold_counts_the_same():
    mean = average_folds([fold(50, 20, 10), fold(80, 50, 30, params=12, rtf=0.3)])
    assert [c.accuracy for c in mean.conditions] == [65, 35]
    assert [c.utterances for c in mean.conditions] == [40, 40]
    assert mean.conditions[1].snr_db == 5 and mean.params == 11
    assert mean.rtf == pytest.approx(0.2) and mean.audio_seconds is None


@pytest.mark.parametrize(
    "other, message",
    [
        ({"system": "student"}, "different system have no mean: 'teacher', 'student'"),
        ({"seed": 1}, "different seed"),
        ({"conditions": (ConditionScore("clean", 1, accuracy=1.0),)}, "different conditions"),
    ],
)
def test_what_has_no_mean(other, message):
    with pytest.raises(UserError, match=message):
        average_folds([fold(50, 20, 10), fold(50, 20, 10, **other)])
    with pytest.raises(UserError, match="no folds"):
        average_folds([])


def test_error_rates_are_refused():
    scores = fold(50, 20, 10, conditions=(ConditionScore("clean", 10, wer=5.0),))
    with pytest.raises(UserError, match="no accuracy of clean"):
        average_folds([scores, scores])


def write_fold(path, utt, errors):
    run = path / "teacher_seed0"
    run.mkdir(parents=True)
    write_scores(run / "scores.json", fold(100.0 - 100 * errors, 0, 1))
    nothing = np.zeros((1, 4), int)
    counts = {
        name: UtteranceErrors((utt,), (utt[0],), np.array([[1, wrong, 0, 0]]), nothing)
        for name, wrong in (("clean", errors), ("noise_snr5", 1))
    }
    write_counts(run / "counts.tsv", counts)
    return str(path)


def test_counts_of_all_folds(tmp_path, capsys):
    folds = [write_fold(tmp_path / "1", "b", 0), write_fold(tmp_path / "2", "a", 1)]
    command = ["--out", str(tmp_path / "mean"), "--systems", "teacher", *folds]
    main(command)
    mean = tmp_path / "mean/teacher_seed0"
    assert capsys.readouterr().out == f"{mean}: mean of 2 folds\n"
    clean = read_scores(mean / "scores.json").condition("clean")
    assert (clean.accuracy, clean.speakers) == (50, 2)
    counts = read_counts(mean / "counts.tsv")
    assert counts["clean"].ids == counts["noise_snr5"].ids == ("a", "b")
    assert counts["clean"].speakers == ("a", "b")
    assert counts["clean"].words[:, 1].tolist() == [1, 0]
    assert counts["noise_snr5"].words[:, 1].tolist() == [1, 1]
    assert list(counts) == ["clean", "noise_snr5"]
    again = write_fold(tmp_path / "3", "a", 1)
    with pytest.raises(UserError, match="a is in another fold too"):
        main([*command, again])
