"""The path without a loop against the loop, where it is easy and where closed forms like to break."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

from course_lib.descent import ClosedFormPath, descend
from course_lib.objectives import L1, L2, LogisticLoss, MeanSquaredError

STEPS = np.arange(1001)


def loop(objective, rate, momentum=0.0, start=None, steps=1000):
    """Gradient descent as the formula has it, on the data themselves: thetas and losses of every step."""
    theta = np.zeros(objective.n_parameters) if start is None else np.array(start, dtype=float)
    thetas, losses, velocity = [], [], 0.0
    for _ in range(steps + 1):
        value, gradient = objective.value_and_gradient(theta)
        thetas.append(theta)
        losses.append(value)
        velocity = momentum * velocity + gradient
        theta = theta - rate * velocity
    return np.array(thetas), np.array(losses)


def objectives():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 5)) * np.linspace(0.3, 3, 5)
    y = X @ rng.normal(size=5) + rng.normal(size=50)
    diabetes, target = load_diabetes(return_X_y=True)
    return {
        "plain": MeanSquaredError(X, y),
        "ridge with intercept": MeanSquaredError(X, y + 3, penalty=L2(0.2), intercept=True),
        "duplicated column": MeanSquaredError(np.column_stack([X, X[:, 2]]), y),
        "column of zeros": MeanSquaredError(np.column_stack([X, np.zeros(50)]), y),
        "more columns than rows": MeanSquaredError(X[:3], y[:3]),
        "one column": MeanSquaredError(X[:, :1], y),
        "diabetes": MeanSquaredError(StandardScaler().fit_transform(diabetes), target / target.std(), intercept=True),
        "perfect fit": MeanSquaredError(X, X @ np.ones(5)),
        "nothing to fit": MeanSquaredError(X, 0 * y),
    }


@pytest.mark.parametrize("name", objectives())
@pytest.mark.parametrize("share", [0.5, 1.0, 1.9, 1.999])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.99])
def test_equals_the_loop(name, share, momentum):
    objective = objectives()[name]
    rate, path = share / objective.lipschitz, ClosedFormPath(objective)
    start = np.random.default_rng(1).normal(size=objective.n_parameters)
    for begin in (None, start):
        thetas, losses = loop(objective, rate, momentum, begin)
        np.testing.assert_allclose(path.theta(STEPS, rate, momentum, begin), thetas, atol=1e-10)
        np.testing.assert_allclose(path.losses(STEPS, rate, momentum, begin), losses, atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 6), st.floats(0.01, 1.999), st.floats(0, 0.99),
    st.sampled_from([None, 0.01, 1.0]),
)  # fmt: skip
def test_equals_the_loop_for_any_data(seed, m, n, share, momentum, alpha):
    rng = np.random.default_rng(seed)
    objective = MeanSquaredError(rng.normal(size=(m, n)), rng.normal(size=m), penalty=alpha and L2(alpha))
    rate = share / objective.lipschitz
    thetas, losses = loop(objective, rate, momentum, steps=200)
    path, steps = ClosedFormPath(objective), np.arange(201)
    np.testing.assert_allclose(path.theta(steps, rate, momentum), thetas, atol=1e-10 * (1 + np.abs(thetas).max()))
    np.testing.assert_allclose(path.losses(steps, rate, momentum), losses, atol=1e-10)


def test_badly_scaled_columns_keep_their_digits():
    X, y = load_diabetes(return_X_y=True, scaled=False)  # condition number of the Hessian: 4e6 and more
    objective = MeanSquaredError(X, y)
    rate = 1.9 / objective.lipschitz
    thetas, losses = loop(objective, rate)
    path = ClosedFormPath(objective)
    np.testing.assert_allclose(path.theta(STEPS, rate), thetas, atol=1e-10)
    np.testing.assert_allclose(path.losses(STEPS, rate), losses, rtol=1e-12)


def test_a_column_a_million_times_smaller_keeps_its_digits_too():
    rng = np.random.default_rng(4)
    objective = MeanSquaredError(rng.normal(size=(30, 2)) * [1, 1e-6], rng.normal(size=30))
    thetas, _ = loop(objective, 1 / objective.lipschitz, steps=50)
    exact = ClosedFormPath(objective).theta(np.arange(51), 1 / objective.lipschitz)
    np.testing.assert_allclose(exact, thetas, rtol=1e-9)  # the formula's 1 - (1 - eta l)^t has 4 digits here


@pytest.mark.parametrize("name", ["duplicated column", "column of zeros", "more columns than rows"])
def test_of_many_minima_it_names_the_shortest(name):
    objective = objectives()[name]
    shortest = np.linalg.lstsq(objective.X, objective.y, rcond=None)[0]
    np.testing.assert_allclose(ClosedFormPath(objective).minimizer, shortest, atol=1e-10)


def test_momentum_where_the_two_roots_meet():
    """(1 + mu - rate l)^2 = 4 mu: a formula with the roots' difference below the line divides by zero here."""
    objective = MeanSquaredError([[1.0], [-1.0]], [2.0, -2.0])  # one eigenvalue, 2
    for momentum in (0.25, 0.49, 0.81):
        for root in (1 - np.sqrt(momentum), 1 + np.sqrt(momentum)):
            rate = root**2 / 2
            thetas, losses = loop(objective, rate, momentum)
            np.testing.assert_allclose(ClosedFormPath(objective).theta(STEPS, rate, momentum), thetas, atol=1e-12)
            np.testing.assert_allclose(ClosedFormPath(objective).losses(STEPS, rate, momentum), losses, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_equals_descend(momentum):
    objective = objectives()["ridge with intercept"]
    rates, start = np.array([0.1, 0.5, 1.0]) / objective.lipschitz, np.ones(6)
    path = descend(objective, start, rates, method="momentum", momentum=momentum)
    exact = ClosedFormPath(objective)
    np.testing.assert_allclose(np.moveaxis(exact.theta(STEPS, rates, momentum, start), 0, 1), path.iterates, atol=1e-12)
    np.testing.assert_allclose(exact.losses(STEPS, rates, momentum, start).T, path.losses, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("rates", [(), (3,), (2, 2)])
@pytest.mark.parametrize("steps", [(), (0,), (1,), (7,), (2, 3), (200,)])
def test_shapes_are_rates_then_steps(momentum, rates, steps):
    rng, path = np.random.default_rng(3), ClosedFormPath(objectives()["plain"])
    rate, step = rng.uniform(0.001, 0.01, size=rates), rng.integers(0, 5000, size=steps)
    thetas, losses = path.theta(step, rate, momentum), path.losses(step, rate, momentum)
    assert thetas.shape == (*rates, *steps, 5) and losses.shape == (*rates, *steps)
    for i in np.ndindex(rates):
        for j in np.ndindex(steps):
            np.testing.assert_allclose(thetas[i][j], path.theta(int(step[j]), float(rate[i]), momentum), atol=1e-12)
            np.testing.assert_allclose(losses[i][j], path.losses(int(step[j]), float(rate[i]), momentum), rtol=1e-12)


def test_goes_far_in_one_jump():
    objective = objectives()["diabetes"]
    path = ClosedFormPath(objective)
    for momentum in (0.0, 0.9):
        np.testing.assert_allclose(path.theta(10**7, 1 / objective.lipschitz, momentum), path.minimizer, atol=1e-10)
    least_squares = np.linalg.lstsq(objective.X, objective.y, rcond=None)[0]
    np.testing.assert_allclose(path.minimizer, least_squares, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_diverges_exactly_above_the_largest_stable_rate(momentum):
    path = ClosedFormPath(objectives()["plain"])
    limit = (1 + momentum) * path.largest_stable_rate
    below, above = path.losses(np.array([0, 200_000]), np.array([0.9999, 1.0001]) * limit, momentum)
    assert below[1] < below[0] and not above[1] < 1e3 * above[0]


def test_overflow_is_not_an_error():
    path = ClosedFormPath(objectives()["plain"])
    for momentum in (0.0, 0.9):
        assert not np.isfinite(path.losses(STEPS, 1e3, momentum)[-1])
        assert not np.isfinite(path.theta(STEPS, 1e3, momentum)[-1]).any()
        still = ClosedFormPath(objectives()["nothing to fit"])  # no slope to follow, whatever the rate
        assert not still.losses(STEPS, 1e3, momentum).any() and not still.theta(STEPS, 1e3, momentum).any()
        assert path.losses(0, 1e3, momentum) == pytest.approx(objectives()["plain"].value(np.zeros(5)))


def test_largest_stable_rate_is_that_of_the_objective():
    objective = objectives()["ridge with intercept"]
    assert ClosedFormPath(objective).largest_stable_rate == pytest.approx(2 / objective.lipschitz)


QUADRATIC = objectives()["plain"]
LABELS = (np.arange(50) % 2).astype(float)
BAD = {
    "logistic": (lambda: ClosedFormPath(LogisticLoss(QUADRATIC.X, LABELS)), TypeError, "must be quadratic"),
    "L1": (lambda: ClosedFormPath(MeanSquaredError(QUADRATIC.X, QUADRATIC.y, penalty=L1(0.1))), TypeError, "quadratic"),
    "alphas": (lambda: ClosedFormPath(MeanSquaredError(QUADRATIC.X, QUADRATIC.y, penalty=L2([0.1, 1]))), ValueError, "one alpha"),
    "half a step": (lambda: ClosedFormPath(QUADRATIC).theta(0.5, 0.1), TypeError, "steps must be whole"),
    "negative step": (lambda: ClosedFormPath(QUADRATIC).losses(-1, 0.1), ValueError, "steps must be 0 or above"),
    "rate": (lambda: ClosedFormPath(QUADRATIC).theta(1, 0.0), ValueError, "learning_rate must be above 0"),
    "momentum": (lambda: ClosedFormPath(QUADRATIC).losses(1, 0.1, 1.0), ValueError, "momentum must be in"),
    "start": (lambda: ClosedFormPath(QUADRATIC).theta(1, 0.1, start=np.zeros(3)), ValueError, r"start must have shape \(5,\)"),
}


@pytest.mark.parametrize("call, error, message", BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
