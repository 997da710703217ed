import numpy as np
import pytest
from scipy import stats

from espnet_robust.score.significance import Counted, difference, estimate, holm, scatter


def system(rate=0.2, seed=0, speakers=400, conditions=1, seeds=1, words=10):
    """Words that fail independently."""
    rng = np.random.default_rng(seed)
    units = np.full((conditions, speakers), float(words))
    return Counted(units, rng.binomial(words, rate, (seeds, conditions, speakers)).astype(float))


def one(counted):
    return estimate(scatter({"a": counted})["a"])


def compare(a, b):
    both = scatter({"a": a, "b": b})
    return difference(both["a"], both["b"])


def test_value_is_the_rate_of_the_corpus():
    units, errors = np.array([[4.0, 1.0]]), np.array([[[0.0, 1.0]]])
    assert one(Counted(units, errors)).value == [20.0]


def test_runs_that_chose_other_readings_of_the_references():
    units = np.array([[[4.0, 1.0]], [[8.0, 2.0]]])
    errors = np.array([[[1.0, 0.0]], [[1.0, 0.0]]])
    assert one(Counted(units, errors)).value == [15.0]
    alike = np.full((2, 1, 2), 5.0)
    once, twice = one(Counted(alike[0], errors)), one(Counted(alike, errors))
    assert (once.low, once.high) == (twice.low, twice.high)


def test_speakers_who_differ_alike_show_no_certainty():
    units = np.full((1, 2), 30.0)
    a, b = (Counted(units, np.full((1, 1, 2), errors)) for errors in (7.0, 9.0))
    found = compare(a, b)
    assert found.value == pytest.approx([-20 / 3])
    assert np.isnan([found.low, found.high, found.p]).all()
    same = compare(a, a)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_mean_over_conditions_counts_each_the_same():
    units = np.array([[10.0, 10.0], [1.0, 1.0]])
    errors = np.array([[[1.0, 1.0], [1.0, 0.0]]])
    assert scatter({"a": Counted(units, errors)})["a"].average([0, 1]).value == [30.0]


def test_interval_has_the_width_of_the_theory():
    found = one(system())
    # 4000 words that fail independently: standard deviation sqrt(p (1 - p) / n).
    expected = 100 * 2 * 1.96 * np.sqrt(0.2 * 0.8 / 4000)
    assert found.high - found.low == pytest.approx(expected, rel=0.1)
    assert found.low < found.value < found.high


def test_few_speakers_widen_it_as_student_says():
    found = one(system(speakers=5, words=1000))
    rates = system(speakers=5, words=1000).errors[0, 0] / 10
    # HC3: a residual over one minus its leverage, 1 / 5.
    low, high = stats.t.interval(0.95, 4, rates.mean(), stats.sem(rates) * np.sqrt(5 / 4))
    assert found.high - found.low == pytest.approx([high - low], rel=0.12)


def test_errors_of_a_speaker_are_alike():
    """As many words; 10 speakers whose rates differ tell less than 400 independent utterances."""
    rng = np.random.default_rng(0)
    rate = np.repeat(rng.uniform(0, 40, 10), 40)
    by_utterance = Counted(np.full((1, 400), 10.0), rate[None, None] / 10)
    by_speaker = Counted(np.full((1, 10), 400.0), by_utterance.errors.reshape(1, 1, 10, 40).sum(3))
    narrow, wide = one(by_utterance), one(by_speaker)
    assert narrow.value == pytest.approx(wide.value)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_no_error_no_width():
    found = one(system(0.0))
    assert (found.low, found.value, found.high) == (0, 0, 0)


def test_one_speaker_has_no_interval():
    found = one(system(speakers=1))
    assert np.isnan(found.low) and np.isnan(found.high) and found.value >= 0


def test_a_condition_that_was_not_tested_is_unknown():
    a = system(conditions=2)
    a.errors[:, 1] = np.nan
    found = one(a)
    assert np.isnan(found.value).tolist() == np.isnan(found.low).tolist() == [False, True]


def test_clear_difference():
    d = compare(system(0.1, seed=1), system(0.2, seed=2))
    assert d.high < 0 and d.p < 1e-6


def test_difference_changes_sign_with_the_roles():
    a, b = system(0.18, seed=1, seeds=2), system(0.2, seed=2, seeds=2)
    there, back = compare(a, b), compare(b, a)
    assert there.value == -back.value
    assert there.low == pytest.approx(-back.high, abs=0.2)


def test_identical_systems_are_even():
    d = compare(system(), system())
    assert (d.low, d.high, d.p) == (0, 0, 1)


def test_always_one_error_less_is_certain():
    a = system()
    d = compare(Counted(a.units, a.errors + 1), a)
    assert (d.value, d.p) == (pytest.approx(10), pytest.approx(0, abs=1e-9))


def test_pairing_helps_where_speakers_differ():
    rng = np.random.default_rng(0)
    hard = rng.uniform(0, 15, (1, 1, 300)).round()
    units = np.full((1, 300), 20.0)
    few = rng.binomial(1, 0.1, (1, 1, 300))
    d = compare(Counted(units, hard + few), Counted(units, hard))
    alone = one(Counted(units, hard))
    assert d.high - d.low < 0.1 * (alone.high - alone.low)


def test_matched_pairs_are_those_of_the_t_test():
    a, b = system(0.19, seed=1, speakers=30), system(0.2, seed=2, speakers=30)
    assert compare(a, b).p == pytest.approx(
        [stats.ttest_rel(a.errors[0, 0], b.errors[0, 0]).pvalue], rel=0.1
    )


def test_seeds_that_scatter_widen_it():
    base = system(seeds=3)
    seeds = np.array([0.0, 1.0, 2.0])[:, None, None]
    scattered = Counted(base.units, base.errors + seeds)
    narrow, wide = one(base), one(scattered)
    # Rates of 20, 30 and 40 %: the mean of three, with two degrees of freedom.
    expected = 2 * stats.t.ppf(0.975, 2) * 10 / np.sqrt(3)
    assert wide.high - wide.low == pytest.approx([expected], rel=0.1)
    assert narrow.high - narrow.low < 0.2 * expected


def test_same_seed_same_result():
    a, b = (compare(system(seeds=2), system(seed=5, seeds=2)) for _ in range(2))
    assert a == b or np.array_equal([a.low, a.high, a.p], [b.low, b.high, b.p])


def test_holm():
    # Smallest times 4, next times 3, ...; never below the one before; unknown ones do not count.
    p = np.array([0.02, 0.005, np.nan, 0.03, 0.6])
    assert holm(p) == pytest.approx([0.06, 0.02, np.nan, 0.06, 0.6], nan_ok=True)
    assert len(holm(np.array([]))) == 0
    assert holm(np.array([0.9, 0.8])).max() == 1


def test_intervals_hold_what_they_say(load_tool):
    """A short run of ``tools/interval_coverage.py``; score/README.md has 1,000 runs."""
    coverage = load_tool("interval_coverage")
    found = coverage.measure(coverage.Design(30, 10), runs=60)
    # 360 intervals, of which some share their speakers: three standard deviations.
    assert found["rate"] > 89 and found["difference"] > 90
    assert found["called different"] < 15
