"""bias² + variance + noise of ridge regression: against many drawn samples, scikit-learn and the algebra of the fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, Ridge

from course_lib.validation import bias_variance, cosine_features

ALPHAS = np.array([0.0, 1e-3, 0.3, 20.0])
NOISE = 0.4


def truth(x):
    return np.sin(3 * x) + np.abs(x)


def problem(m=15, n_waves=6, k=30, seed=0):
    rng = np.random.default_rng(seed)
    x, new = rng.uniform(-1, 1, m), rng.uniform(-1, 1, k)
    return cosine_features(x, n_waves), truth(x), cosine_features(new, n_waves), truth(new)


SIZES = [(15, 6), (15, 14), (15, 40), (60, 3)]  # below, at and beyond as many parameters as rows; many rows


@pytest.mark.parametrize(("m", "n_waves"), SIZES)
def test_parts_are_those_of_many_samples(m, n_waves):
    """Monte Carlo: each mean over 20000 samples is within 4.5 of its standard errors (some 200 comparisons a case)."""
    X, f, X_new, f_new = problem(m, n_waves)
    alphas = ALPHAS[1:] if n_waves == m - 1 else ALPHAS  # least squares at the peak: checked by algebra below
    parts = bias_variance(X, f, X_new, f_new, alphas, NOISE)
    rng = np.random.default_rng(1)
    y = f + NOISE * rng.standard_normal((20_000, m))
    predictions, new_y = parts.predict(y), f_new + NOISE * rng.standard_normal((20_000, 1, len(f_new)))

    def agree(samples, exact):
        standard_error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
        assert (np.abs(samples.mean(axis=0) - exact) <= 4.5 * standard_error + 1e-12).all()

    agree(predictions, parts.mean_prediction)
    agree((predictions - parts.mean_prediction) ** 2, parts.variance_at)
    agree(((predictions - new_y) ** 2).mean(axis=-1), parts.error)
    agree(((parts.fitted(y) - y[:, None]) ** 2).mean(axis=-1), parts.training_error)


@pytest.mark.parametrize(("m", "n_waves"), SIZES)
def test_the_fit_is_scikit_learns(m, n_waves):
    X, f, X_new, f_new = problem(m, n_waves)
    y = f + NOISE * np.random.default_rng(2).standard_normal(m)
    parts = bias_variance(X, f, X_new, f_new, ALPHAS, NOISE)
    for i, alpha in enumerate(ALPHAS):
        model = (Ridge(alpha, solver="svd") if alpha else LinearRegression(tol=1e-13)).fit(X, y)
        np.testing.assert_allclose(parts.predict(y)[i], model.predict(X_new), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(parts.fitted(y)[i], model.predict(X), rtol=1e-7, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(m=st.integers(3, 25), n_waves=st.integers(1, 40), seed=st.integers(0, 1000), noise=st.floats(0, 3), alpha=st.floats(1e-6, 1e3))
def test_algebra_of_the_fit(m, n_waves, seed, noise, alpha):
    """S, the matrix of the fit, got column by column: everything follows from it."""
    X, f, _, _ = problem(m, n_waves, seed=seed)
    parts = bias_variance(X, f, X, f, alpha, noise)
    S = parts.fitted(np.eye(m))[:, 0].T
    tolerance = {"rtol": 1e-6, "atol": 1e-9}
    np.testing.assert_allclose(parts.variance, noise**2 * np.trace(S @ S.T) / m, **tolerance)
    np.testing.assert_allclose(parts.bias2, np.mean((S @ f - f) ** 2), **tolerance)
    np.testing.assert_allclose(parts.error, parts.bias2 + parts.variance + noise**2)
    np.testing.assert_allclose(parts.degrees_of_freedom, np.trace(S), **tolerance)
    R = np.eye(m) - S
    np.testing.assert_allclose(parts.training_error, np.mean((R @ f) ** 2) + noise**2 * np.trace(R @ R.T) / m, **tolerance)
    # At the training inputs the true error exceeds the training error by 2 noise² tr(S) / m (Mallows' Cp).
    np.testing.assert_allclose(parts.error - parts.training_error, 2 * noise**2 * np.trace(S) / m, rtol=1e-6, atol=1e-7)


def test_as_the_penalty_goes_to_zero_the_fit_becomes_least_squares():
    X, f, X_new, f_new = problem(12, 30)
    zero, tiny = (bias_variance(X, f, X_new, f_new, alpha, NOISE) for alpha in (0.0, 1e-9))
    np.testing.assert_allclose(tiny.error, zero.error, rtol=1e-4)
    np.testing.assert_allclose(zero.training_error, 0.0, atol=1e-20)
    np.testing.assert_allclose(zero.predict(f)[0], f.mean() + (X_new - X.mean(0)) @ np.linalg.pinv(X - X.mean(0)) @ f)


def test_a_penalty_trades_bias_for_variance():
    X, f, _, _ = problem(20, 10)
    parts = bias_variance(X, f, X, f, np.logspace(-6, 6, 50), NOISE)
    assert (np.diff(parts.bias2) >= 0).all() and (np.diff(parts.variance) <= 0).all() and (np.diff(parts.training_error) >= 0).all()


def test_double_descent_and_its_cure():
    """The error peaks where parameters (with the intercept) equal rows, falls beyond, and a penalty takes the peak away."""
    x, new = np.random.default_rng(0).uniform(-1, 1, 16), np.linspace(-1, 1, 99)
    error = lambda n_waves, alpha: bias_variance(
        cosine_features(x, n_waves), truth(x), cosine_features(new, n_waves), truth(new), alpha, NOISE
    ).error.item()
    errors = [error(n_waves, 0.0) for n_waves in range(1, 60)]
    assert 1 + np.argmax(errors) == 15
    assert errors[-1] < errors[14] / 100 and min(errors[:8]) < errors[14] / 100
    assert error(15, 0.1) < 2 * min(errors)


def test_waves_are_orthogonal_and_have_their_standard_deviation():
    x = np.linspace(-1, 1, 200_001)
    features = cosine_features(x, 4)
    np.testing.assert_allclose(features.T @ features / len(x), np.diag(1 / np.arange(1.0, 5) ** 2), atol=1e-4)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-4)


def test_no_feature_at_all_is_the_mean():
    f = np.array([1.0, 2.0, 6.0])
    parts = bias_variance(np.zeros((3, 1)), f, np.zeros((2, 1)), np.zeros(2), 0.0, 0.3)
    assert parts.mean_prediction.tolist() == [[3.0, 3.0]]
    np.testing.assert_allclose(parts.variance, 0.3**2 / 3)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"alphas": -1.0}, ValueError, "alphas must be 0 or above"),
        ({"noise": -0.1}, ValueError, "noise must be 0 or above"),
        ({"noise": "loud"}, TypeError, "noise must hold real numbers"),
        ({"truth": np.zeros(3)}, ValueError, "same number of rows"),
        ({"truth_new": np.zeros(3)}, ValueError, "same number of rows"),
        ({"X": np.full((15, 6), np.nan)}, ValueError, "X has 90 NaN"),
        ({"X_new": np.zeros((30, 5))}, ValueError, "X_new must have the 6 columns of X; got 5"),
    ],
)
def test_clear_errors(change, error, says):
    arguments = dict(zip(("X", "truth", "X_new", "truth_new"), problem(), strict=True)) | {"alphas": ALPHAS, "noise": NOISE}
    with pytest.raises(error, match=says):
        bias_variance(**arguments | change)


def test_clear_errors_of_the_rest():
    parts = bias_variance(*problem(), ALPHAS, NOISE)
    with pytest.raises(ValueError, match=r"y must have shape \(..., 15\), one target for each row of X; got \(3,\)"):
        parts.predict(np.zeros(3))
    with pytest.raises(ValueError, match=r"x must lie in \[-1, 1\]; got values up to 2"):
        cosine_features([0.0, 2.0], 3)
    with pytest.raises(ValueError, match="n_waves must be at least 1"):
        cosine_features([0.0], 0)
