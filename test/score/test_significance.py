import numpy as np
import pytest

from espnet_robust.common.errors import UserError
from espnet_robust.score.metrics import ACCURACY, WER
from espnet_robust.score.significance import (
    Interval,
    UtteranceErrors,
    collect,
    compare,
    error_rate,
)


def system(error_rate, seed=0, utterances=400, conditions=1):
    rng = np.random.default_rng(seed)
    words = np.full((conditions, utterances), 10)
    return UtteranceErrors(words, rng.binomial(10, error_rate, words.shape))


def test_collect_averages_over_seeds():
    runs = [
        {"clean": {"u1": (4, 1), "u2": (2, 0)}, "clip": {"u1": (4, 2), "u2": (2, 2)}},
        {"clean": {"u2": (2, 1), "u1": (4, 1)}, "clip": {"u1": (4, 4), "u2": (2, 2)}},
    ]
    both = collect(runs, ["clean", "clip"])
    assert both.units.tolist() == [[4, 2], [4, 2]]
    assert both.errors.tolist() == [[1, 0.5], [3, 2]]


@pytest.mark.parametrize("runs", [[{}], [{"clean": {"u1": (1, 0)}}, {"clean": {"u2": (1, 0)}}]])
def test_collect_refuses_other_utterances(runs):
    with pytest.raises(UserError, match="condition 'clean' lacks utterances"):
        collect(runs, ["clean"])


def test_point_is_the_corpus_wer():
    words, errors = np.array([[4, 1]]), np.array([[0, 1]])
    assert error_rate(UtteranceErrors(words, errors)).value == 20.0


def test_point_is_the_mean_over_conditions():
    words, errors = np.array([[10, 10], [10, 10]]), np.array([[1, 1], [3, 5]])
    assert error_rate(UtteranceErrors(words, errors)).value == 25.0


def test_interval_has_the_width_of_the_theory():
    interval = error_rate(system(0.2))
    # 4000 words that fail independently: standard deviation sqrt(p (1 - p) / n).
    expected = 100 * 2 * 1.96 * np.sqrt(0.2 * 0.8 / 4000)
    assert interval.high - interval.low == pytest.approx(expected, rel=0.1)
    assert interval.low < interval.value < interval.high


def test_no_error_no_width():
    interval = error_rate(system(0.0))
    assert (interval.low, interval.value, interval.high) == (0, 0, 0)


def test_clear_difference():
    d = compare(system(0.1, seed=1), system(0.2, seed=2))
    assert d.rate.high < 0
    assert d.better == 1.0


def test_difference_changes_sign_with_the_roles():
    a, b = system(0.18, seed=1), system(0.2, seed=2)
    there, back = compare(a, b), compare(b, a)
    assert there.rate.value == -back.rate.value
    assert there.rate.low == pytest.approx(-back.rate.high)
    assert there.better == pytest.approx(1 - back.better)


def test_identical_systems_are_even():
    d = compare(system(0.2), system(0.2))
    assert (d.rate.low, d.rate.high, d.better) == (0, 0, 0.5)


def test_pairing_helps_where_utterances_differ_in_difficulty():
    rng = np.random.default_rng(0)
    words = np.full((1, 300), 20)
    hard = rng.uniform(0, 15, (1, 300)).round()
    base, better = UtteranceErrors(words, hard + 1), UtteranceErrors(words, hard)
    d = compare(better, base)
    assert d.rate.high - d.rate.low < 0.01  # always one error less
    interval = error_rate(base)
    assert interval.high - interval.low > 1


def test_same_seed_same_result():
    assert compare(system(0.2, 1), system(0.2, 2)) == compare(system(0.2, 1), system(0.2, 2))


def test_other_references_are_refused():
    with pytest.raises(UserError, match="other references"):
        compare(system(0.2), UtteranceErrors(np.full((1, 400), 9), np.zeros((1, 400))))


def test_an_accuracy_turns_an_interval_of_errors_round():
    errors = Interval(30.0, 20.0, 45.0)
    assert errors.map(ACCURACY.value) == Interval(70.0, 55.0, 80.0)
    assert errors.map(WER.value) == errors
    assert Interval(-5.0, -9.0, 1.0).map(ACCURACY.difference) == Interval(5.0, -1.0, 9.0)
    assert str(Interval(0.0, 0.0, 0.0).map(ACCURACY.difference).value) == "0.0"  # not -0.0
