"""Chapter 02's live figure: the computation behind it against a plain loop, and its words against its numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Lasso, Ridge

from course_lib.labs import gradient_descent as lab
from course_lib.labs.gradient_descent import ALPHAS, PENALTIES, DescentLab, PenaltyLab, descent, penalised, surface, verdict


def loop(learning_rate, momentum, scale, steps):
    """Gradient descent as everybody writes it."""
    X, y = lab.columns()
    X = X * [1.0, scale]
    L = 2 / len(y) * np.linalg.eigvalsh(X.T @ X)[-1]
    theta, velocity, iterates = lab.START.copy(), np.zeros(2), [lab.START]
    for _ in range(steps):
        velocity = momentum * velocity - learning_rate * 2 / L * (2 / len(y)) * X.T @ (X @ theta - y)
        theta = theta + velocity
        iterates.append(theta)
    return np.array(iterates), np.array([np.mean((y - X @ t) ** 2) for t in iterates])


@pytest.mark.parametrize("learning_rate", [0.01, 0.4, 0.99, 1.0, 1.2])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_path_and_losses_are_those_of_the_loop(learning_rate, momentum, scale):
    result = descent(learning_rate, momentum, scale)
    iterates, losses = loop(learning_rate, momentum, scale, 100)
    lowest = surface(scale)[0].value(surface(scale)[1].minimizer)
    np.testing.assert_allclose(result["iterates"], iterates, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(result["excess"], (losses - lowest) / (losses[0] - lowest), rtol=1e-6, atol=1e-9)


def test_the_curve_over_all_rates_is_made_of_such_runs():
    result = descent(0.5, momentum=0.3, scale=3.0, steps=25)
    for i in range(0, len(lab.RATES), 20):
        alone = descent(lab.RATES[i], momentum=0.3, scale=3.0, steps=25)
        np.testing.assert_allclose(result["sweep"][i], alone["reached"], rtol=1e-9)


def test_ellipses_are_level_lines():
    objective, path = surface(5.0)
    lowest, highest = objective.value(path.minimizer), objective.value(lab.START)
    ellipses = descent(0.1, scale=5.0)["ellipses"]
    for level, ellipse in zip(lab.ELLIPSES, ellipses, strict=True):
        np.testing.assert_allclose(objective.value(ellipse), lowest + level * (highest - lowest), rtol=1e-9)


@settings(max_examples=80, deadline=None)
@given(st.floats(0.01, 2.0), st.floats(0.0, 0.95), st.floats(1.0, 10.0))
def test_it_diverges_exactly_above_the_limit(learning_rate, momentum, scale):
    result = descent(learning_rate, momentum, scale)
    if abs(learning_rate / result["limit"] - 1) > 1e-6:
        assert (result["factor"] > 1) == (learning_rate > result["limit"])


@pytest.mark.parametrize(
    ("learning_rate", "momentum", "scale", "word"),
    [
        (0.01, 0.0, 1.0, "crawls"),
        (0.4, 0.0, 1.0, "converges"),
        (0.8, 0.0, 1.0, "oscillates and converges"),
        (1.0, 0.0, 1.0, "bounces forever"),
        (1.001, 0.0, 1.0, "diverges"),
        (0.9, 0.0, 10.0, "crawls"),  # a narrow valley: the largest stable rate is too small for its length
        (1.5, 0.9, 1.0, "oscillates and converges"),  # momentum moves the limit to 1.9
        (1.95, 0.9, 1.0, "diverges"),
    ],
)
def test_words(learning_rate, momentum, scale, word):
    assert verdict(learning_rate, momentum, descent(learning_rate, momentum, scale)["factor"]) == word
    assert f"the path {word}:" in DescentLab(learning_rate=learning_rate, momentum=momentum, scale=scale).alt


def test_at_exactly_two_over_L_the_loss_stays_and_a_hair_above_it_grows():
    steady, above = descent(1.0)["excess"], descent(1.02)["excess"]
    assert 0 < steady[50] == pytest.approx(steady[100], rel=1e-6)
    assert above[100] > 10 * above[40]


@pytest.mark.parametrize("rows", [1, 16, 64])
def test_small_batches_are_noisy_and_repeatable(rows):
    one, again, full = descent(0.3, batch_size=rows), descent(0.3, batch_size=rows), descent(0.3)
    assert np.array_equal(one["iterates"], again["iterates"])
    tail = one["excess"][60:]
    assert tail.mean() > 1e3 * full["excess"][60:].mean(), "noise keeps the loss above its minimum"


def test_moving_sliders_moves_what_is_drawn():
    live = DescentLab(learning_rate=0.1, steps=10)
    for rate in np.geomspace(0.01, 1.9, 30):  # a fast drag: the last value counts
        live.controls["learning_rate"].value = rate
    wanted = descent(live.values["learning_rate"], steps=10)["iterates"][:11]
    wanted[np.abs(wanted) >= 1e4] = np.nan  # far outside: left out
    np.testing.assert_array_equal(live.path.get_xydata(), wanted)
    assert live.rate_here.get_xdata()[0] == pytest.approx(1.9)


def test_a_diverging_path_leaves_the_picture_without_a_warning(recwarn):
    live = DescentLab(learning_rate=1.99, steps=100, scale=10.0)
    assert "more than a million times" in live.alt
    assert not recwarn.list


class TestPenalty:
    @pytest.mark.parametrize("alpha", [0.02, 1.0, 20.0, 60.0, 99.0])
    @pytest.mark.parametrize("name", PENALTIES)
    def test_minimum_is_scikit_learns(self, name, alpha):
        X, y = lab.columns()
        # scikit-learn: sum of squares + a ||w||² for Ridge; half the mean of squares + a ||w||_1 for Lasso.
        theirs = Ridge(alpha * len(y), fit_intercept=False) if name.startswith("L2") else Lasso(alpha / 2, fit_intercept=False, tol=1e-10)
        np.testing.assert_allclose(penalised(alpha, name)["minimum"], theirs.fit(X, y).coef_, atol=1e-5)

    @pytest.mark.parametrize("name", PENALTIES)
    def test_curves_hold_the_minimum_of_every_strength(self, name):
        for i in (0, 40, 78):
            np.testing.assert_allclose(lab.minima(name)[i], penalised(ALPHAS[i], name)["minimum"], atol=1e-6)

    @pytest.mark.parametrize("name", PENALTIES)
    def test_the_dashed_line_is_a_level_of_the_penalty(self, name):
        result = penalised(3.0, name)
        R = PENALTIES[name](1.0).value
        np.testing.assert_allclose(R(result["level"]), R(result["minimum"]), rtol=1e-12)

    def test_one_zero_then_two(self):
        live = PenaltyLab(penalty="L1 (sum of sizes)", alpha=60)
        assert "θ₂ = exactly 0" in live.alt and "θ₁ = exactly 0" not in live.alt
        live.controls["alpha"].value = 95
        assert "θ₁ = exactly 0, θ₂ = exactly 0" in live.alt
        live.controls["penalty"].value = "L2 (squared length)"
        assert "exactly" not in live.alt and (live.arrays["minimum"] > 0).all()
