"""Intervals, paired comparison, bootstrap, the corrected t-test and power: against SciPy, formulas and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.model_selection import ShuffleSplit

from course_lib.statistics import bootstrap_interval, corrected_resampled_ttest, mean_interval, paired_difference, seeds_needed

numbers = st.lists(st.floats(-100, 100), min_size=2, max_size=30).filter(lambda values: np.std(values) > 1e-3)


@given(values=numbers, confidence=st.floats(0.5, 0.999))
def test_mean_interval_is_the_t_interval(values, confidence):
    got = mean_interval(values, confidence)
    want = stats.t.interval(confidence, len(values) - 1, np.mean(values), stats.sem(values))
    np.testing.assert_allclose([got.low, got.high], want, rtol=1e-7, atol=1e-7)
    assert got.mean == pytest.approx(np.mean(values)) and got.n == len(values)


def test_mean_interval_covers_the_truth_as_often_as_it_says():
    samples = np.random.default_rng(0).normal(5.0, 2.0, size=(4000, 6))
    covered = [interval.low <= 5.0 <= interval.high for interval in map(mean_interval, samples)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)


@given(before=numbers, seed=st.integers(0, 99))
def test_paired_difference_is_the_paired_t_test(before, seed):
    after = np.array(before) + np.random.default_rng(seed).normal(1.0, 2.0, size=len(before))
    got, want = paired_difference(before, after), stats.ttest_rel(after, before)
    low, high = want.confidence_interval(0.95)
    np.testing.assert_allclose([got.low, got.high, got.p_value], [low, high, want.pvalue], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(got.differences, after - before)
    assert (got.p_value < 0.05) == (got.low > 0 or got.high < 0)


def test_pairing_removes_what_the_pair_shares():
    rng = np.random.default_rng(0)
    seed_effect = rng.normal(0, 10, 20)
    before, after = seed_effect + rng.normal(0, 1, 20), seed_effect + 2 + rng.normal(0, 1, 20)
    assert paired_difference(before, after).p_value < 1e-4
    assert stats.ttest_ind(after, before).pvalue > 0.2


def test_differences_without_spread():
    same = paired_difference([1.0, 2.0], [1.0, 2.0])
    assert (same.mean, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert paired_difference([1.0, 2.0], [2.0, 3.0]).p_value == 0.0


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(0).exponential(size=60)
    for statistic in (np.mean, np.median):
        got = bootstrap_interval(values, statistic, n_resamples=5000, random_state=1)
        want = stats.bootstrap((values,), statistic, n_resamples=5000, method="percentile", rng=2).confidence_interval
        np.testing.assert_allclose([got.low, got.high], want, rtol=0.03)
        assert got.mean == statistic(values)


def test_bootstrap_draws_whole_rows_and_repeats_with_its_seed():
    rows = np.random.default_rng(0).normal(size=(40, 2))
    rows[:, 1] += rows[:, 0]

    def correlation(rows):
        return np.corrcoef(rows.T)[0, 1]

    first, again = (bootstrap_interval(rows, correlation, n_resamples=300, random_state=3) for _ in range(2))
    assert first == again and 0 < first.low < correlation(rows) < first.high < 1


@pytest.mark.parametrize(("n", "share"), [(10, 0.90), (50, 0.94)])
def test_bootstrap_is_too_narrow_for_few_rows_as_its_docstring_says(n, share):
    rng = np.random.default_rng(0)
    intervals = [bootstrap_interval(rng.normal(size=n), n_resamples=200, random_state=rng) for _ in range(1000)]
    assert np.mean([i.low <= 0 <= i.high for i in intervals]) == pytest.approx(share, abs=0.025)


@given(values=numbers, n_train=st.integers(10, 500), n_test=st.integers(1, 100))
def test_corrected_ttest_is_the_formula(values, n_train, n_test):
    values, k = np.array(values), len(values)
    error = np.sqrt((1 / k + n_test / n_train) * values.var(ddof=1))
    got = corrected_resampled_ttest(values, n_train, n_test)
    assert got.p_value == pytest.approx(2 * stats.t.sf(abs(values.mean()) / error, k - 1), abs=1e-9)
    assert got.high - got.mean == pytest.approx(stats.t.ppf(0.975, k - 1) * error)


def test_uncorrected_test_finds_differences_that_are_not_there():
    """Two equally good models (each may see one of two noisy copies of the signal), 15 resampled splits, 5 % level."""
    rejected = {"plain": [], "corrected": []}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        signal = rng.normal(size=100)
        y = signal + rng.normal(size=100) > 0
        splits = ShuffleSplit(15, test_size=20, random_state=seed)
        a, b = (_accuracies(signal + rng.normal(size=100), y, splits) for _ in range(2))
        if np.ptp(a - b) == 0:
            continue
        rejected["plain"].append(stats.ttest_rel(a, b).pvalue < 0.05)
        rejected["corrected"].append(corrected_resampled_ttest(a - b, n_train=80, n_test=20).p_value < 0.05)
    assert np.mean(rejected["plain"]) > 0.3
    assert np.mean(rejected["corrected"]) < 0.12


def _accuracies(x, y, splits):
    """Accuracy of the best threshold of the training rows (a stump), on each test part."""
    scores = []
    for train, test in splits.split(x):
        right = np.mean((x[train] > x[train, None]) == y[train], axis=1)
        scores.append(np.mean((x[test] > x[train][np.argmax(right)]) == y[test]))
    return np.array(scores)


def power_by_simulation(n, effect, sd, paired, repetitions=20_000):
    rng = np.random.default_rng(0)
    a = rng.normal(0, sd, (repetitions, n))
    if paired:
        return np.mean(stats.ttest_1samp(a + effect, 0, axis=1).pvalue < 0.05)
    return np.mean(stats.ttest_ind(a, rng.normal(effect, sd, (repetitions, n)), axis=1).pvalue < 0.05)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(("effect", "sd"), [(1, 1.35), (2, 1.35), (5, 1.35), (-3, 1.0)])
def test_seeds_needed_is_the_smallest_number_with_that_power(effect, sd, paired):
    n = seeds_needed(effect, sd, paired=paired)
    assert power_by_simulation(n, effect, sd, paired) > 0.8 - 0.01
    if n > 2:
        assert power_by_simulation(n - 1, effect, sd, paired) < 0.8 + 0.01


def test_seeds_needed_of_the_course():
    """One configuration trained with many seeds has sd 1.35 points: 29 and 7 by the normal formula, which is too few."""
    assert seeds_needed(1, 1.35) == 30 and seeds_needed(2, 1.35) == 9 and seeds_needed(5, 1.35) == 3
    normal = [2 * ((1.96 + 0.8416) * 1.35 / effect) ** 2 for effect in (1, 2)]
    np.testing.assert_allclose(normal, [28.6, 7.15], rtol=0.01)


def test_seeds_needed_at_the_ends():
    assert seeds_needed(1000, 1) == 2
    assert seeds_needed(0.01, 1) == pytest.approx(2 * (2.8016 / 0.01) ** 2, rel=1e-3)
    assert seeds_needed(1, 1, power=0.99) > seeds_needed(1, 1) > seeds_needed(1, 1, alpha=0.2)


def test_text():
    assert str(mean_interval([1.0, 2.0, 3.0])) == "2, 95% interval [-0.4841, 4.484], n = 3"
    assert "p = " in str(paired_difference([1.0, 2.0, 3.0], [2.0, 4.0, 3.0]))


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: mean_interval([1.0]), ValueError, "at least two values"),
        (lambda: mean_interval([1.0, np.nan]), ValueError, "values has 1 NaN"),
        (lambda: mean_interval(["a", "b"]), TypeError, "values must hold real numbers"),
        (lambda: mean_interval([1.0, 2.0], 95), ValueError, "confidence must lie between 0 and 1; got 95"),
        (lambda: paired_difference([1.0, 2.0], [1.0, 2.0, 3.0]), ValueError, "must be pairs; got 2 and 3"),
        (lambda: bootstrap_interval([1.0], random_state=0), ValueError, "at least two rows"),
        (lambda: bootstrap_interval([1.0, 2.0], n_resamples=5, random_state=0), ValueError, "n_resamples must be at least 100"),
        (lambda: bootstrap_interval([1.0, 2.0]), TypeError, "random_state"),
        (lambda: corrected_resampled_ttest([1.0, 2.0], 0, 20), ValueError, "n_train must be above 0"),
        (lambda: seeds_needed(0, 1), ValueError, "effect must be above 0"),
        (lambda: seeds_needed(1, -1), ValueError, "sd must be above 0"),
        (lambda: seeds_needed(1, 1, power=80), ValueError, "power must lie between"),
    ],
)
def test_clear_errors(call, error, says):
    with pytest.raises(error, match=says):
        call()
