"""Chapter 06's live figure: the runs behind it against a plain loop, and its words against its numbers."""

import numpy as np
import pytest

from course_lib.labs import local_minima as lab
from course_lib.labs.local_minima import RATES, SCHEDULES, STARTS, STEPS, RippleLab, arrivals, ripple


def loop(rate, height, start):
    """Descent at a constant rate, in units of 2/L, as everybody writes it."""
    theta, L = start, 1 + height * (2 * np.pi) ** 2
    for _ in range(STEPS):
        theta -= rate * 2 / L * (theta + height * 2 * np.pi * np.sin(2 * np.pi * theta))
    return theta


@pytest.mark.parametrize("height", [0.0, 0.5, 1.2])
@pytest.mark.parametrize("start", [3.3, -0.7])
def test_the_path_is_that_of_a_loop(height, start):
    assert ripple(0.5, height=height, start=start)["theta"][-1] == pytest.approx(loop(0.5, height, start), abs=1e-9)


def test_the_sweep_counts_single_runs():
    i = 4  # a stable rate: above 2/L the runs are chaotic, and rounding decides
    ends = np.array([loop(RATES[i], 0.5, start) for start in STARTS])
    assert arrivals("constant", lab.N_ROWS, 0.5)[i] == np.mean(np.abs(ends) < 0.5)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_that_never_exceeds_the_stable_rate_leaves_no_dip(schedule):
    small = arrivals(schedule, lab.N_ROWS, 0.5)[RATES < 1]
    assert np.ptp(small) == 0 and small[0] < 0.2


@pytest.mark.parametrize("schedule", ["cosine decay", "warm-up, then decay"])
def test_a_large_rate_that_decays_reaches_the_global_dip(schedule):
    assert arrivals(schedule, lab.N_ROWS, 0.5).max() > 0.9
    assert arrivals("constant", lab.N_ROWS, 0.5)[-1] < 0.5


def test_noise_leaves_dips_where_a_full_batch_does_not():
    i = np.argmin(np.abs(RATES - 0.8))
    assert arrivals("constant", 1, 0.5)[i] > 0.4 > 0.2 > arrivals("constant", lab.N_ROWS, 0.5)[i]


def test_without_ripples_every_start_arrives():
    assert arrivals("constant", lab.N_ROWS, 0.0)[RATES < 1].min() == 1
    live = RippleLab(height=0.0, learning_rate=0.5)
    assert "only one minimum" in live.alt and "100 % end in the global dip at this rate" in live.alt


def test_words_follow_the_sliders():
    live = RippleLab()
    assert live.arrays["dip"] == 3 and "the dip near θ = 3, a local minimum" in live.alt
    live.controls["learning_rate"].value = 6
    live.controls["schedule"].value = "cosine decay"
    assert live.arrays["dip"] == 0 and "global dip" in live.alt
    np.testing.assert_array_equal(live.path.get_xdata(), live.arrays["theta"])
    np.testing.assert_array_equal(live.swept.get_ydata(), arrivals("cosine decay", lab.N_ROWS, 0.5))


def test_a_large_constant_rate_never_comes_to_rest():
    live = RippleLab(learning_rate=6.0)
    assert np.abs(np.diff(live.arrays["theta"][-20:])).min() > 0 and "not come to rest" in live.alt
