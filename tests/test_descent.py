"""The loop against torch.optim and scikit-learn; what it says of stopping and divergence; the source's function."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from course_lib.descent import ClosedFormPath, DivergenceError, descend, gradient_descent
from course_lib.descent.methods import METHODS
from course_lib.objectives import L1, L2, LogisticLoss, MeanSquaredError, TwoLayerNetwork
from course_lib.schedules import cosine, restarts, step_decay, warm_up


def data(seed=0, m=60, n=4):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, n)) * np.linspace(0.5, 2, n)
    return X, X @ rng.normal(size=n) + rng.normal(size=m), rng


def objectives():
    X, y, _ = data()
    labels = (y > 0).astype(float)
    return {
        "squared": MeanSquaredError(X, y, penalty=L2(0.1), intercept=True),
        "logistic": LogisticLoss(X, labels, penalty=L2(0.1)),
        "network": TwoLayerNetwork(X, labels, 3),
        "L1": LogisticLoss(X, labels, penalty=L1(0.05), intercept=True),
    }


# torch.optim


def torch_path(objective, start, method, rates, weight_decay=0.0):
    torch = pytest.importorskip("torch")
    theta = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    make = {
        "plain": lambda: torch.optim.SGD([theta], 0.1),
        "momentum": lambda: torch.optim.SGD([theta], 0.1, momentum=0.8),
        "nesterov": lambda: torch.optim.SGD([theta], 0.1, momentum=0.8, nesterov=True),
        "adagrad": lambda: torch.optim.Adagrad([theta], 0.1),
        "rmsprop": lambda: torch.optim.RMSprop([theta], 0.1),
        "adam": lambda: torch.optim.Adam([theta], 0.1),
        "adamw": lambda: torch.optim.AdamW([theta], 0.1, weight_decay=weight_decay),
    }
    optimizer, path = make[method](), [start]
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        theta.grad = torch.tensor(objective.gradient(theta.detach().numpy()))
        optimizer.step()
        path.append(theta.detach().numpy().copy())
    return np.array(path)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("which", ["squared", "logistic", "network"])
def test_every_method_takes_the_steps_of_torch(method, which):
    objective = objectives()[which]
    start = np.random.default_rng(1).normal(size=objective.n_parameters)
    rates = warm_up(cosine(0.05, 200), 10)
    ours = descend(objective, start, rates, num_iterations=200, method=method, momentum=0.8)
    theirs = torch_path(objective, start, method, rates(np.arange(200)))
    np.testing.assert_allclose(ours.iterates, theirs, atol=1e-12, rtol=1e-12)
    np.testing.assert_allclose(ours.losses, objective.value(theirs), rtol=1e-11)
    np.testing.assert_allclose(ours.gradient_norms, np.linalg.norm(objective.gradient(theirs), axis=-1), atol=1e-11)
    np.testing.assert_array_equal(ours.learning_rates, rates(np.arange(200)))


def test_adamw_decays_like_torch_and_spares_the_intercept():
    X, y, _ = data()
    J = MeanSquaredError(X, y)
    ours = descend(J, np.ones(4), 0.05, num_iterations=200, method="adamw", weight_decay=0.3)
    np.testing.assert_allclose(ours.iterates, torch_path(J, np.ones(4), "adamw", [0.05] * 200, 0.3), atol=1e-12)
    shifted = MeanSquaredError(X, y + 50, intercept=True)
    free, decayed = (descend(shifted, np.zeros(5), 0.5, method="adamw", weight_decay=w).theta for w in (0.0, 1.0))
    assert free[0] == pytest.approx(50, abs=1) and decayed[0] == pytest.approx(50, abs=1)
    assert np.linalg.norm(decayed[1:]) < 0.8 * np.linalg.norm(free[1:])


# L1


@pytest.mark.parametrize("method", ["plain", "momentum", "nesterov"])
@pytest.mark.parametrize("intercept", [False, True])
def test_proximal_steps_reach_the_lasso(method, intercept):
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    J = MeanSquaredError(X, y, penalty=L1(8.0), intercept=intercept)
    path = descend(J, np.zeros(J.n_parameters), 1 / J.lipschitz, method=method, num_iterations=3000, tolerance=1e-10)
    oracle = Lasso(alpha=4.0, fit_intercept=intercept, tol=1e-14).fit(X, y)  # scikit-learn halves the squared error
    np.testing.assert_allclose(path.theta[-10:], oracle.coef_, atol=1e-9)
    np.testing.assert_array_equal(path.theta[-10:] == 0, oracle.coef_ == 0)  # zeros are exact zeros
    assert (oracle.coef_ == 0).any() and path.stopped == "tolerance"
    if intercept:
        assert path.theta[0] == pytest.approx(oracle.intercept_)


def test_proximal_steps_reach_l1_logistic_regression():
    X, y = load_breast_cancer(return_X_y=True)
    X, alpha = StandardScaler().fit_transform(X), 0.05
    J = LogisticLoss(X, y, penalty=L1(alpha))
    path = descend(J, np.zeros(30), 2 / J.lipschitz, method="momentum", num_iterations=5000, tolerance=1e-9)
    oracle = LogisticRegression(C=1 / (alpha * len(y)), l1_ratio=1.0, solver="saga", fit_intercept=False, tol=1e-12,
                                max_iter=100_000).fit(X, y)  # fmt: skip
    np.testing.assert_allclose(path.theta, oracle.coef_[0], atol=1e-6)
    assert path.stopped == "tolerance" and (path.theta == 0).sum() == (oracle.coef_ == 0).sum() > 10


def test_ista_never_goes_up_and_fista_gets_there_sooner():
    X, y = load_diabetes(return_X_y=True)
    J = MeanSquaredError(StandardScaler().fit_transform(X), y - y.mean(), penalty=L1(1.0))
    ista, fista = (descend(J, np.zeros(10), 1 / J.lipschitz, method=m, num_iterations=200) for m in ("plain", "nesterov"))
    assert (np.diff(ista.losses) <= 1e-9).all()
    best = descend(J, np.zeros(10), 1 / J.lipschitz, method="nesterov", num_iterations=20_000).losses.min()
    assert fista.losses[-1] - best < 0.1 * (ista.losses[-1] - best)


# batches of runs


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("which", ["squared", "logistic", "network", "L1"])
@pytest.mark.parametrize("batch_size", [None, 16])
def test_many_runs_at_once_equal_one_after_another(method, which, batch_size):
    objective, rng = objectives()[which], np.random.default_rng(2)
    rates, starts = np.array([0.01, 0.03, 0.05]), rng.normal(size=(3, objective.n_parameters))
    options = dict(num_iterations=70, method=method, batch_size=batch_size, random_state=5)
    together = descend(objective, starts, rates, **options)
    assert together.iterates.shape == (71, *starts.shape) and together.learning_rates.shape == (70, 3)
    for i in range(3):
        alone = descend(objective, starts[i], rates[i], **options)
        np.testing.assert_allclose(together.iterates[:, i], alone.iterates, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(together.losses[:, i], alone.losses, rtol=1e-9)
        np.testing.assert_allclose(together.run(i).gradient_norms, alone.gradient_norms, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("penalty", [L1, L2])
@pytest.mark.parametrize("model", [MeanSquaredError, LogisticLoss])
def test_many_penalties_at_once_equal_one_after_another(penalty, model):
    X, y, _ = data()
    y = y if model is MeanSquaredError else (y > 0).astype(float)
    alphas = np.array([0.0, 0.1, 1.0])
    together = descend(model(X, y, penalty=penalty(alphas), intercept=True), np.zeros(5), 0.05, num_iterations=50)
    for i, alpha in enumerate(alphas):
        alone = descend(model(X, y, penalty=penalty(alpha), intercept=True), np.zeros(5), 0.05, num_iterations=50)
        np.testing.assert_allclose(together.iterates[:, i], alone.iterates, rtol=1e-9, atol=1e-12)


def test_shapes_without_and_with_runs():
    X, y, _ = data()
    J = MeanSquaredError(X, y)
    one, many = descend(J, np.zeros(4), 0.01, num_iterations=7), descend(J, np.zeros(4), [0.01, 0.02], num_iterations=7)
    for path, k in ((one, ()), (many, (2,))):
        assert path.iterates.shape == (8, *k, 4) and path.theta.shape == (*k, 4)
        assert path.losses.shape == path.gradient_norms.shape == (8, *k)
        assert path.learning_rates.shape == (7, *k) and np.shape(path.steps) == np.shape(path.stopped) == k
    assert one.stopped == "num_iterations" and one.steps == 7
    assert descend(J, np.zeros(4), num_iterations=0).iterates.shape == (1, 4)


# minibatches


def test_all_rows_in_one_batch_is_full_descent():
    objective = objectives()["logistic"]
    full, batch = (descend(objective, np.zeros(4), 0.1, num_iterations=20, batch_size=b, random_state=0) for b in (None, 60))
    np.testing.assert_allclose(full.iterates, batch.iterates, rtol=1e-10, atol=1e-14)


def test_every_epoch_sees_every_row_once():
    seen = []

    class Spy(MeanSquaredError):
        def batch(self, rows):
            seen.append(rows)
            return super().batch(rows)

    X, y, _ = data(m=10)
    descend(Spy(X, y), np.zeros(4), 0.01, num_iterations=9, batch_size=4, random_state=0)
    assert [len(rows) for rows in seen] == [4, 4, 2] * 3
    epochs = [np.concatenate(seen[i : i + 3]) for i in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])


def test_minibatch_noise_is_repeatable_and_real():
    X, y, _ = data()
    run = lambda seed: descend(MeanSquaredError(X, y), np.zeros(4), 0.02, batch_size=8, random_state=seed, num_iterations=300)
    np.testing.assert_array_equal(run(1).iterates, run(1).iterates)
    assert not np.array_equal(run(1).iterates, run(2).iterates)
    assert (np.diff(run(1).losses) > 0).mean() > 0.2  # the full loss rises on many steps: A-8.3.1-2 needs full batches
    assert run(1).losses[-1] < 0.5 * run(1).losses[0]


# stopping and divergence


def test_rate_just_below_two_over_l_falls_and_just_above_rises():
    X, y, _ = data()
    J = MeanSquaredError(X, y)
    path = descend(J, np.zeros(4), np.array([0.99, 1.01]) * 2 / J.lipschitz, num_iterations=2000)
    below, above = path.losses.T
    assert (np.diff(below) <= 1e-12).all() and above[-1] > above[0]


def test_tolerance_stops_each_run_at_its_own_step():
    X, y, _ = data()
    J = MeanSquaredError(X, y)
    path = descend(J, np.zeros(4), np.array([1.0, 0.3, 0.001]) / J.lipschitz, tolerance=1e-6, num_iterations=2000)
    assert path.stopped.tolist() == ["tolerance", "tolerance", "num_iterations"]
    assert path.steps[0] < path.steps[1] < path.steps[2] == 2000
    for i in (0, 1):
        t = path.steps[i]
        assert path.gradient_norms[t, i] <= 1e-6 < path.gradient_norms[t - 1, i]
        np.testing.assert_array_equal(path.iterates[t:, i], np.broadcast_to(path.theta[i], path.iterates[t:, i].shape))
    quick = descend(J, np.zeros(4), np.array([1.0, 0.9]) / J.lipschitz, tolerance=1e-6, num_iterations=2000)
    assert len(quick.losses) == quick.steps.max() + 1 < 500  # all at their end: the arrays end there too
    assert descend(J, quick.theta[0], 0.01, tolerance=1e-6).steps == 0


def test_divergence_stops_that_run_only_and_keeps_its_last_finite_iterate():
    X, y, _ = data()
    J = MeanSquaredError(X, y)
    path = descend(J, np.zeros(4), np.array([100.0, 0.5]) / J.lipschitz, num_iterations=1000)
    assert path.stopped.tolist() == ["diverged", "num_iterations"] and path.diverged.tolist() == [True, False]
    assert np.isfinite(path.iterates).all() and np.isfinite(path.losses).all()
    assert 0 < path.steps[0] < 200 and path.losses[-1, 0] > 1e280
    np.testing.assert_allclose(path.iterates[:, 1], descend(J, np.zeros(4), 0.5 / J.lipschitz).iterates, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 1.0))
def test_plain_descent_on_a_convex_objective_never_goes_up_below_one_over_l(seed, share):
    X, y, rng = data(seed, m=20)
    for J in (MeanSquaredError(X, y, penalty=L2(0.1)), LogisticLoss(X, (np.arange(20) % 2).astype(float))):
        path = descend(J, rng.normal(size=4), share / J.lipschitz, num_iterations=50)
        assert (np.diff(path.losses) <= 1e-12 * path.losses[0]).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(-100, 100))
def test_shifting_the_target_changes_the_intercept_only(seed, shift):
    X, y, _ = data(seed, m=20)
    fit = lambda target: np.linalg.solve((J := MeanSquaredError(X, target, penalty=L2(0.5), intercept=True)).hessian(), -J.gradient(np.zeros(5)))
    np.testing.assert_allclose(fit(y + shift)[1:], fit(y)[1:] , atol=1e-9)
    assert fit(y + shift)[0] - fit(y)[0] == pytest.approx(shift, abs=1e-9)


# schedules


@pytest.mark.parametrize("schedule", [step_decay(0.1, 0.5, 10), restarts(0.1, 7), warm_up(cosine(0.1, 30), 5)])
def test_schedule_is_followed(schedule):
    X, y, _ = data()
    J = MeanSquaredError(X, y)
    path = descend(J, np.zeros(4), schedule, num_iterations=40)
    theta = np.zeros(4)
    for t in range(40):
        theta = theta - schedule(t) * J.gradient(theta)
    np.testing.assert_allclose(path.theta, theta, rtol=1e-11)
    both = descend(J, np.zeros(4), lambda t: np.array([schedule(t), 0.05]), num_iterations=40)
    np.testing.assert_allclose(both.theta[0], theta, rtol=1e-11)


# the function of source A


@pytest.mark.parametrize("column", [False, True])
def test_gradient_descent_finds_least_squares_in_the_shape_of_y(column):
    X, y, _ = data()
    y = y[:, None] if column else y
    theta = gradient_descent(X, y, learning_rate=0.1, num_iterations=2000)
    np.testing.assert_allclose(theta, np.linalg.lstsq(X, y, rcond=None)[0], atol=1e-10)
    assert theta.shape == ((4, 1) if column else (4,))


def test_gradient_descent_is_the_listing_at_half_the_rate():
    X, y, _ = data()
    m, theta = len(y), np.zeros((4, 1))
    for _ in range(1000):
        theta = theta - 0.01 * (1 / m) * X.T @ (X @ theta - y[:, None])
    np.testing.assert_allclose(gradient_descent(X, y, learning_rate=0.005), theta[:, 0], rtol=1e-10)


def test_takes_a_data_frame():
    pandas = pytest.importorskip("pandas")
    X, y, _ = data()
    np.testing.assert_allclose(gradient_descent(pandas.DataFrame(X), pandas.Series(y)), gradient_descent(X, y))


def test_raw_diabetes_diverges_with_an_error_that_says_what_would_do():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    with pytest.raises(DivergenceError) as caught:
        gradient_descent(X, y)  # the source's defaults: the listing returns ten NaN here
    error = caught.value
    assert isinstance(error, FloatingPointError) and 10 < error.step < 108
    assert error.largest_stable_rate == pytest.approx(2 / (2 * np.linalg.norm(X, 2) ** 2 / len(X)))
    assert f"step {error.step}" in str(error) and f"{error.largest_stable_rate:.3g}" in str(error)
    gradient_descent(X, y, learning_rate=0.99 * error.largest_stable_rate)
    with pytest.raises(DivergenceError):  # finite after 1,000 steps, and worse than where it began
        gradient_descent(X, y, learning_rate=1.01 * error.largest_stable_rate)


def test_prescaled_diabetes_hardly_moves():
    X, y = load_diabetes(return_X_y=True)
    rmse = lambda theta: np.sqrt(np.mean((y - X @ theta) ** 2))
    assert rmse(gradient_descent(X, y)) > 0.98 * rmse(np.zeros(10))  # 1,000 steps at the source's rate
    assert 2 / MeanSquaredError(X, y).lipschitz == pytest.approx(110, abs=1)  # twice that for the listing's 1/m


def test_half_the_factor_takes_twice_the_steps():
    """Source A's formula (2/m) against its listing (1/m): the same minimum, twice the steps (review: 1,341 and 2,583)."""
    X, y = load_diabetes(return_X_y=True, scaled=False)
    X, _, y, _ = train_test_split(X, y, test_size=0.2, random_state=42)
    J = MeanSquaredError(StandardScaler().fit_transform(X), y, intercept=True)
    path = descend(J, np.zeros(11), [0.1, 0.05], num_iterations=30_000)
    formula, listing = ((np.abs(J.gradient(path.iterates[:, i])).max(-1) < s).argmax() for i, s in ((0, 1e-8), (1, 2e-8)))
    assert formula == pytest.approx(9825, rel=0.05)
    assert 1.8 < listing / formula < 2.1


# bad input

J = MeanSquaredError(*data()[:2])
LABELS = LogisticLoss(data()[0], (np.arange(60) % 2).astype(float))
BAD = {
    "negative rate": (lambda: descend(J, np.zeros(4), -0.1), ValueError, "learning_rate must be above 0"),
    "zero rate": (lambda: gradient_descent(J.X, J.y, learning_rate=0), ValueError, "learning_rate must be above 0"),
    "NaN rate": (lambda: descend(J, np.zeros(4), np.nan), ValueError, "learning_rate"),
    "text rate": (lambda: descend(J, np.zeros(4), "fast"), TypeError, "learning_rate"),
    "rate with axes": (lambda: descend(J, np.zeros(4), np.ones((2, 2))), ValueError, "learning_rate"),
    "negative schedule": (lambda: descend(J, np.zeros(4), lambda t: -1.0), ValueError, "learning_rate"),
    "two numbers of runs": (lambda: descend(J, np.zeros((3, 4)), [0.1, 0.2]), ValueError, "same number of runs"),
    "start": (lambda: descend(J, np.zeros(3)), ValueError, "start must have shape"),
    "NaN start": (lambda: descend(J, np.full(4, np.nan)), ValueError, "start has 4 NaN"),
    "method": (lambda: descend(J, np.zeros(4), method="sgd"), ValueError, "method must be one of"),
    "momentum": (lambda: descend(J, np.zeros(4), momentum=1.0), ValueError, "momentum must be in"),
    "iterations": (lambda: descend(J, np.zeros(4), num_iterations=-1), ValueError, "num_iterations"),
    "half an iteration": (lambda: gradient_descent(J.X, J.y, num_iterations=1.5), TypeError, "num_iterations"),
    "tolerance": (lambda: descend(J, np.zeros(4), tolerance=-1), ValueError, "tolerance"),
    "batch too large": (lambda: descend(J, np.zeros(4), batch_size=61), ValueError, "batch_size must be at most"),
    "batch of none": (lambda: descend(J, np.zeros(4), batch_size=0), ValueError, "batch_size"),
    "decay without adamw": (lambda: descend(J, np.zeros(4), weight_decay=0.1), ValueError, "adamw"),
    "NaN in X": (lambda: gradient_descent([[np.nan]], [1.0]), ValueError, "X has 1 NaN"),
    "rows differ": (lambda: gradient_descent([[1.0]], [1.0, 2.0]), ValueError, "same number of rows"),
    "two targets": (lambda: gradient_descent(np.ones((3, 2)), np.ones((3, 2))), ValueError, "y must have shape"),
}


@pytest.mark.parametrize("call, error, message", BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_input_is_not_changed():
    X, y, _ = data()
    start, before = np.ones(4), (X.copy(), y.copy())
    for method in METHODS:
        descend(MeanSquaredError(X, y), start, 0.01, method=method, num_iterations=5)
    np.testing.assert_array_equal(X, before[0]), np.testing.assert_array_equal(y, before[1])
    np.testing.assert_array_equal(start, 1)


def test_importing_the_floor_loads_nothing_heavy():
    code = (
        "import sys, course_lib.descent, course_lib.objectives, course_lib.schedules; "
        "print([m for m in ('sklearn', 'torch', 'pandas', 'numba', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize("share, stable", [(0.9999, True), (1.0, True), (1.0001, False), (1.01, False), (3.0, False)])
def test_it_diverges_above_two_over_l_and_not_below(share, stable):
    """Just above 2 / L the loss first falls, and may end below its start: its rise betrays the rate."""
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(50, 4)), rng.normal(size=50)
    rate = share * 2 / MeanSquaredError(X, y).lipschitz
    if stable:
        assert np.isfinite(gradient_descent(X, y, rate)).all()
    else:
        with pytest.raises(DivergenceError, match="diverged: seen at step .* largest stable rate"):
            gradient_descent(X, y, rate)


@pytest.mark.filterwarnings("error")
def test_data_of_any_scale_warn_of_nothing():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(50, 4)), rng.normal(size=50)
    for scale in (1e-200, 1e-160, 1e-12, 1e-3):
        assert np.isfinite(gradient_descent(scale * X, y, num_iterations=10)).all()
    assert ClosedFormPath(MeanSquaredError(np.zeros((5, 2)), np.ones(5))).largest_stable_rate == np.inf
