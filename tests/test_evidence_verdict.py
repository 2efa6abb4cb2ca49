"""Intervals, Holm's correction and outcomes against oracles; how often a page without effects claims one."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from course_lib.evidence import verdict as judge
from course_lib.evidence.registry import Case, Claim
from course_lib.statistics import corrected_resampled_ttest


def toy(claim_id="A-8.2-2", expects="lower", overlap=None, cases=2, **options):
    """A claim for its arithmetic: its experiments are never run."""
    return Claim((claim_id,), "error", expects, 10, cases=[Case(f"setting {i}", None, overlap) for i in range(cases)], **options)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closure_of_bonferroni(p_values):
    """A case is rejected if and only if Bonferroni rejects every set of cases that it belongs to (closed testing)."""
    m = len(p_values)
    sets = [s for size in range(1, m + 1) for s in itertools.combinations(range(m), size)]
    rejected = [all(min(p_values[j] for j in s) <= 0.05 / len(s) for s in sets if i in s) for i in range(m)]
    assert (np.array(p_values) <= judge.holm(p_values)).tolist() == rejected


def test_interval_is_that_of_the_paired_t_test_at_holms_level():
    rng = np.random.default_rng(0)
    runs = [(rng.normal(size=12), rng.normal(shift, 1, size=12)) for shift in (-2.0, -0.3)]
    one = toy()
    found = judge.effects([one], {one.id: runs})[one.id]
    oracle = [stats.ttest_rel(after, before) for before, after in runs]
    levels = judge.holm([test.pvalue for test in oracle])
    for effect, test, level in zip(found, oracle, levels):
        assert effect.p_value == pytest.approx(test.pvalue)
        assert (effect.low, effect.high) == pytest.approx(test.confidence_interval(0.95))
        assert (effect.surely_low, effect.surely_high) == pytest.approx(test.confidence_interval(1 - level))


def test_ratio_is_the_geometric_mean_of_the_factors():
    before, after = np.array([1.0, 10.0, 100.0]), np.array([2.0, 10.0, 800.0])
    one = toy(scale="ratio", cases=1)
    effect = judge.effects([one], {one.id: [(before, after)]})[one.id][0]
    assert effect.effect == pytest.approx(stats.gmean(after / before))
    assert effect.before == pytest.approx(stats.gmean(before)) and effect.after == pytest.approx(stats.gmean(after))
    interval = stats.ttest_1samp(np.log(after / before), 0).confidence_interval(0.95)
    assert (effect.low, effect.high) == pytest.approx(np.exp(interval))


def test_median_is_not_moved_by_one_wild_seed():
    before, after = np.zeros(20), np.linspace(-1.2, -0.8, 20)
    wild = after.copy()
    wild[0] = 1e6
    one = toy(statistic="median", cases=2)
    effect, worse = judge.effects([one], {one.id: [(before, after), (before, wild)]})[one.id]
    assert effect.outcome == worse.outcome == "holds"
    assert effect.effect == pytest.approx(-1.0) and effect.p_value == pytest.approx(2 * 0.5**20)
    low, high = stats.bootstrap((after,), np.median, method="percentile", random_state=1).confidence_interval
    assert (effect.low, effect.high) == pytest.approx((low, high), abs=0.03)


def test_splits_of_one_table_get_the_wider_interval():
    rng = np.random.default_rng(1)
    before, after = rng.normal(size=(2, 30))
    one = toy(overlap=(80, 20), cases=1)
    effect = judge.effects([one], {one.id: [(before, after)]})[one.id][0]
    oracle = corrected_resampled_ttest(after - before, 80, 20)
    assert (effect.low, effect.high, effect.p_value) == pytest.approx((oracle.low, oracle.high, oracle.p_value))


@pytest.mark.parametrize(("expects", "margin", "low", "high", "said"), [
    ("lower", 0, -2, -1, "holds"), ("lower", 0, 1, 2, "harms"), ("lower", 0, -1, 1, "seed noise"),
    ("higher", 0, 1, 2, "holds"), ("higher", 0, -2, -1, "harms"), ("higher", 0, 0, 0, "no effect"),
    ("lower", 0.5, -0.4, 0.3, "no effect"), ("lower", 0.5, -0.7, -0.3, "seed noise"), ("lower", 0.5, -0.9, -0.6, "holds"),
    ("same", 0, 0, 0, "holds"), ("same", 0, 0, 0.1, "seed noise"), ("same", 0.5, -0.4, 0.3, "holds"),
    ("same", 0.5, 0.6, 0.7, "differs"), ("same", 0.5, -0.7, -0.6, "differs"), ("same", 0.5, 0.3, 0.7, "seed noise"),
])  # fmt: skip
def test_outcome(expects, margin, low, high, said):
    assert judge.outcome(expects, margin, low, high) == said


@given(st.floats(-10, 10), st.floats(0, 10), st.floats(0, 5))
def test_lower_mirrors_higher(low, width, margin):
    high = low + width
    assert judge.outcome("lower", margin, low, high) == judge.outcome("higher", margin, -high, -low)


@pytest.mark.parametrize(("shifts", "kind", "text"), [
    ((-9, -9), "holds", "holds when setting 0; setting 1"),
    ((-9, 9), "depends", "holds when setting 0 / fails and harms when setting 1"),
    ((-9, 0), "depends", "holds when setting 0 / fails, without any effect, when setting 1"),
    ((9, 9), "fails", "fails and harms when setting 0; setting 1"),
    ((None, 9), "seed noise", "fails and harms when setting 1 / is of the size of seed noise when setting 0"),
])  # fmt: skip
def test_verdict_in_words(shifts, kind, text):
    wobble = np.array([-0.1, 0.1, -0.05, 0.05])
    runs = [(np.zeros(4), wobble if shift is None else shift + wobble * (shift != 0)) for shift in shifts]
    one = toy()
    said = judge.verdict(one, judge.effects([one], {one.id: runs})[one.id])
    assert (said.kind, str(said)) == (kind, text)


def test_a_page_without_effects_seldom_claims_one():
    """Ten cases, nothing to find: without the correction four pages in ten would report a discovery."""
    rng = np.random.default_rng(0)
    claims = [toy(claim_id) for claim_id in ("A-8.2-2", "A-8.2-3", "A-8.3.2-1", "A-8.3.2-2", "A-8.3.2-4")]
    wrong, uncorrected = 0, 0
    for _ in range(300):
        results = {one.id: [(np.zeros(10), rng.normal(size=10)) for _ in one.cases] for one in claims}
        found = [effect for effects in judge.effects(claims, results).values() for effect in effects]
        wrong += any(effect.outcome != "seed noise" for effect in found)
        uncorrected += any(effect.p_value < 0.05 for effect in found)
    assert wrong / 300 < 0.08 and uncorrected / 300 > 0.3
