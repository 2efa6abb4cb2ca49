"""lasso_path against scikit-learn with a strict tolerance."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_lib.validation import KFold, TimeSeriesSplit, lasso_path


def one_by_one(X, y, alphas, splits, standardize):
    scores = np.empty((len(alphas), len(splits)))
    for i, alpha in enumerate(alphas):
        for k, (train, test) in enumerate(splits):
            model = Lasso(alpha, tol=1e-11, max_iter=1_000_000)
            model = make_pipeline(StandardScaler(), model) if standardize else model
            scores[i, k] = np.mean((model.fit(X[train], y[train]).predict(X[test]) - y[test]) ** 2)
    return scores


def sparse_problem(m=80, n=30, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, n)) * rng.uniform(0.2, 3.0, n)
    return X, X[:, :3] @ [3.0, -2.0, 1.0] + rng.normal(size=m) + 5.0


def spoilt(kind):
    X, y = sparse_problem()
    match kind:
        case "shifted by 1000":
            return X + 1000.0, y
        case "constant columns":
            return np.column_stack([X, np.full(len(X), 1000.1), np.arange(len(X)) == 3]), y
        case "more columns than rows":
            return sparse_problem(30, 60)
        case "one huge value":
            X[17, 2] = 1e7
            return X, y
        case "twin columns":
            return np.column_stack([X, X[:, 0]]), y
        case "nearly no noise":
            return X, X[:, 0] + 1e-7 * y


@pytest.fixture
def strict(monkeypatch):
    """Sweep until nothing moves, to compare more digits than anybody needs."""
    monkeypatch.setattr("course_lib.validation.lasso.TOLERANCE", 1e-11)


def test_lasso_as_it_comes_is_closer_than_a_hundred_thousandth():
    X, y = load_diabetes(return_X_y=True)
    alphas = np.logspace(-3, 0.3, 20)
    want = one_by_one(X, y, alphas, list(KFold(5).split(X)), False)
    np.testing.assert_allclose(lasso_path(X, y, alphas, cv=5, standardize=False).scores, want, rtol=1e-5)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("standardize", [True, False])
def test_lasso_on_diabetes(standardize):
    X, y = load_diabetes(return_X_y=True, scaled=False)
    alphas = np.logspace(-2, 1.5, 8)
    want = one_by_one(X, y, alphas, list(KFold(5).split(X)), standardize)
    np.testing.assert_allclose(lasso_path(X, y, alphas, cv=5, standardize=standardize).scores, want, rtol=1e-8)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("kind", ["shifted by 1000", "constant columns", "more columns than rows", "one huge value", "twin columns", "nearly no noise"])
def test_lasso_on_awkward_data(kind, standardize):
    X, y = spoilt(kind)
    alphas = [0.02, 1.0, 0.2]  # in any order
    want = one_by_one(X, y, alphas, list(KFold(4).split(X)), standardize)
    np.testing.assert_allclose(lasso_path(X, y, alphas, cv=4, standardize=standardize).scores, want, rtol=1e-6)


@pytest.mark.usefixtures("strict")
def test_lasso_fits_meet_the_conditions_of_the_minimum():
    """Zero is a subgradient: |x_j' residual| / m is alpha where w_j is not 0 and at most alpha elsewhere."""
    X, y = sparse_problem()
    alphas = np.array([0.05, 0.5, 100.0])
    path = lasso_path(X, y, alphas, cv=TimeSeriesSplit(3), standardize=False)
    for alpha, w, b in zip(alphas, path.coefficients, path.intercepts, strict=True):
        residual = y - b - X @ w
        slope = X.T @ residual / len(y)
        assert abs(residual.mean()) < 1e-9
        np.testing.assert_allclose(slope[w != 0], alpha * np.sign(w[w != 0]), rtol=1e-7)
        assert (np.abs(slope[w == 0]) <= alpha * (1 + 1e-9)).all()
    assert (path.coefficients[-1] == 0).all()


def test_lasso_wants_a_penalty():
    with pytest.raises(ValueError, match="alphas must be above 0"):
        lasso_path(*sparse_problem(), [0.0, 1.0])


def test_lasso_says_when_it_did_not_converge(monkeypatch):
    monkeypatch.setattr("course_lib.validation.lasso.MAX_SWEEPS", 1)
    with pytest.warns(UserWarning, match="did not converge"):
        lasso_path(*sparse_problem(), [0.01], cv=3)
