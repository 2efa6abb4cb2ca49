"""lasso_path and logistic_path against scikit-learn with a strict tolerance."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_lib.validation import KFold, StratifiedKFold, TimeSeriesSplit, lasso_path, logistic_path


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
    alphas = np.logspace(-2, 0.3, 8)
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


def logistic_one_by_one(X, y, Cs, splits, standardize):
    scores = np.empty((len(Cs), len(splits)))
    for i, C in enumerate(Cs):
        for k, (train, test) in enumerate(splits):
            model = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=1000)
            model = make_pipeline(StandardScaler(), model) if standardize else model
            scores[i, k] = log_loss(y[test], model.fit(X[train], y[train]).predict_proba(X[test]), labels=[0, 1])
    return scores


def coin_problem(kind):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 5))
    y = (X[:, 0] + rng.logistic(size=90) > 0.3).astype(int)
    match kind:
        case "shifted by 1000":
            X += 1000.0
        case "unlike scales":
            X *= np.logspace(-2, 2, 5)
        case "constant columns":
            X = np.column_stack([X, np.full(90, 1000.1), np.arange(90) == 3])
        case "more columns than rows":
            X = rng.normal(size=(90, 120))
        case "separable":
            y = (X[:, 0] > 0).astype(int)
        case "rare class":
            y = (X[:, 0] > 1.3).astype(int)
        case "one huge value":
            X[17, 2] = 1e5
    return X, y


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(
    "kind", ["plain", "shifted by 1000", "unlike scales", "constant columns", "more columns than rows", "separable", "rare class", "one huge value"]
)
def test_logistic_on_awkward_data(kind, standardize):
    X, y = coin_problem(kind)
    Cs = [1.0, 1e-3, 10.0, 0.1, 1.0]  # in any order, one of them twice
    want = logistic_one_by_one(X, y, Cs, list(StratifiedKFold(4).split(X, y)), standardize)
    np.testing.assert_allclose(logistic_path(X, y, Cs, cv=4, standardize=standardize).scores, want, rtol=1e-6)


def test_logistic_on_separable_data_with_hardly_any_penalty():
    """Probabilities are 0 and 1 here but for the clipping."""
    X, y = load_breast_cancer(return_X_y=True)
    Cs = np.logspace(-2, 4, 7)
    path = logistic_path(X, y, Cs, cv=5, standardize=True)
    want = logistic_one_by_one(X, y, Cs, list(StratifiedKFold(5).split(X, y)), True)
    np.testing.assert_allclose(path.scores, want, rtol=1e-4)
    assert path.best_C == pytest.approx(Cs[np.argmin(want.mean(axis=1))])
    assert (path.scores[-1] > 2 * path.scores[3]).any()


def test_logistic_far_from_its_start():
    """From weights of zero plain Newton steps fail here: they overshoot, and the matrix becomes singular."""
    X, y = load_breast_cancer(return_X_y=True)
    near = logistic_path(X, y, np.logspace(-2, 5, 30), standardize=True).mean[-1]
    np.testing.assert_allclose(logistic_path(X, y, 1e5, standardize=True).mean, near, rtol=1e-4)


def test_logistic_without_the_table_of_pairs(monkeypatch):
    X, y = coin_problem("plain")
    want = logistic_path(X, y, [0.1, 1.0]).scores
    monkeypatch.setattr("course_lib.validation.logistic.FEW_PAIRS", 0)
    np.testing.assert_allclose(logistic_path(X, y, [0.1, 1.0]).scores, want, rtol=1e-9)


@pytest.mark.parametrize("standardize", [True, False])
def test_logistic_fit_on_all_rows(standardize):
    X, y = coin_problem("shifted by 1000")
    path = logistic_path(X, y, [0.01, 1.0], cv=TimeSeriesSplit(3), standardize=standardize)
    for C, w, b in zip([0.01, 1.0], path.coefficients, path.intercepts, strict=True):
        model = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12)
        model = make_pipeline(StandardScaler(), model) if standardize else model
        np.testing.assert_allclose(X @ w + b, model.fit(X, y).decision_function(X), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(path.Cs, [0.01, 1.0])


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda X, y: (X, y, [0.0]), ValueError, "Cs must be above 0"),
        (lambda X, y: (X, np.zeros(90), [1.0]), ValueError, "one class only"),
        (lambda X, y: (X, y + 1, [1.0]), ValueError, "labels 0 and 1"),
        (lambda X, y: (np.where(X > 2, np.nan, X), y, [1.0]), ValueError, "X has .* NaN"),
        (lambda X, y: (X, np.sort(y), [1.0], TimeSeriesSplit(5)), ValueError, "fold 0 trains on one class only"),
    ],
)
def test_logistic_clear_errors(change, error, says):
    with pytest.raises(error, match=says):
        logistic_path(*change(*coin_problem("plain")))
