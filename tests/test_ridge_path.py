"""ridge_path and leave_one_out against scikit-learn and against models fitted one by one, on awkward data too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.model_selection import KFold as TheirKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_lib.validation import GroupKFold, KFold, RepeatedKFold, TimeSeriesSplit, leave_one_out, ridge_path

ALPHAS = np.logspace(-3, 4, 15)


def one_by_one(X, y, alphas, splits, standardize, solver="svd"):
    """The oracle: scikit-learn, one fit for each penalty and fold."""
    scores = np.empty((len(alphas), len(splits)))
    for i, alpha in enumerate(alphas):
        for k, (train, test) in enumerate(splits):
            model = Ridge(alpha, solver=solver)
            model = make_pipeline(StandardScaler(), model) if standardize else model
            scores[i, k] = np.mean((model.fit(X[train], y[train]).predict(X[test]) - y[test]) ** 2)
    return scores


def problem(m=90, n=6, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, n)) @ (np.eye(n) + 0.5 * rng.normal(size=(n, n)))
    return X, X @ rng.normal(size=n) + noise * rng.normal(size=m) + 3.0


def spoilt(kind):
    X, y = problem()
    rng = np.random.default_rng(1)
    match kind:
        case "shifted by 1000":
            return X + 1000.0, y - 5e4
        case "constant columns":
            return np.column_stack([X, np.full(len(X), 1000.1), np.zeros(len(X))]), y
        case "constant in the training rows of one fold":
            return np.column_stack([X, np.arange(len(X)) < 3, np.arange(len(X)) == 40]), y
        case "more columns than rows":
            return problem(30, 60)
        case "as many columns as training rows":
            return problem(30, 27)
        case "nearly no noise":
            return problem(noise=1e-5)
        case "twin columns":
            return np.column_stack([X, X[:, 0], X[:, 1] + 1e-9 * rng.normal(size=len(X))]), y
        case "polynomial":
            x = rng.uniform(-1, 1, 40)
            return x[:, None] ** np.arange(1, 16), np.sin(3 * x) + 0.1 * rng.normal(size=40)
        case "unlike scales":
            return X * np.logspace(-4, 4, X.shape[1]), y
        case "one huge value":
            X[17, 2] = 1e7
            return X, y
        case "huge target":
            y[17] = 1e9
            return X, y
        case "two test rows a fold":
            return problem(20, 3)
        case "sorted":
            order = np.argsort(y)
            return X[order], y[order]


KINDS = [
    "shifted by 1000", "constant columns", "constant in the training rows of one fold", "more columns than rows",
    "as many columns as training rows", "nearly no noise", "twin columns", "polynomial", "unlike scales", "one huge value",
    "huge target", "two test rows a fold", "sorted",
]  # fmt: skip


@pytest.mark.parametrize("standardize", [True, False])
def test_same_fold_scores_as_grid_search(standardize):
    X, y = load_diabetes(return_X_y=True)
    model = make_pipeline(StandardScaler(), Ridge()) if standardize else make_pipeline(Ridge())
    grid = GridSearchCV(model, {"ridge__alpha": ALPHAS}, cv=TheirKFold(10), scoring="neg_mean_squared_error").fit(X, y)
    want = -np.array([grid.cv_results_[f"split{k}_test_score"] for k in range(10)]).T
    path = ridge_path(X, y, ALPHAS, cv=10, standardize=standardize)
    np.testing.assert_allclose(path.scores, want, rtol=1e-10)
    assert path.best_alpha == grid.best_params_["ridge__alpha"]
    np.testing.assert_allclose(path.mean, want.mean(axis=1))


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_awkward_data(kind, standardize):
    X, y = spoilt(kind)
    want = one_by_one(X, y, ALPHAS, list(KFold(10).split(X)), standardize)
    np.testing.assert_allclose(ridge_path(X, y, ALPHAS, standardize=standardize).scores, want, rtol=1e-8)


@settings(max_examples=25, deadline=None)
@given(m=st.integers(12, 60), n=st.integers(1, 30), k=st.integers(2, 12), seed=st.integers(0, 999), standardize=st.booleans())
def test_any_shape(m, n, k, seed, standardize):
    X, y = problem(m, n, seed)
    cv = KFold(k, shuffle=True, random_state=seed)
    alphas = [0.01, 1.0, 100.0]
    want = one_by_one(X, y, alphas, list(cv.split(X)), standardize)
    np.testing.assert_allclose(ridge_path(X, y, alphas, cv=cv, standardize=standardize).scores, want, rtol=1e-8)


@pytest.mark.parametrize("cv", [RepeatedKFold(n_splits=3, n_repeats=2, random_state=0), TimeSeriesSplit(4), TheirKFold(5), GroupKFold(4), [([0, 1, 2, 3, 9], [4, 5])]])
def test_any_folds(cv):
    X, y = problem(60, 4)
    groups = np.arange(60) // 5 if isinstance(cv, GroupKFold) else None
    splits = list(cv.split(X, y, groups)) if hasattr(cv, "split") else cv
    want = one_by_one(X, y, ALPHAS, splits, True)
    np.testing.assert_allclose(ridge_path(X, y, ALPHAS, cv=cv, groups=groups, standardize=True).scores, want, rtol=1e-8)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("kind", ["shifted by 1000", "constant columns", "more columns than rows", "polynomial"])
def test_fits_on_all_rows_are_in_the_units_of_X(kind, standardize):
    X, y = spoilt(kind)
    path = ridge_path(X, y, ALPHAS, standardize=standardize)
    for alpha, w, b in zip(ALPHAS, path.coefficients, path.intercepts, strict=True):
        model = Ridge(alpha, solver="svd")
        model = make_pipeline(StandardScaler(), model) if standardize else model
        np.testing.assert_allclose(X @ w + b, model.fit(X, y).predict(X), rtol=1e-7, atol=1e-7)


def test_alpha_zero_is_least_squares():
    X, y = problem()
    beta = np.linalg.lstsq(np.column_stack([np.ones(len(X)), X]), y)[0]
    path = ridge_path(X, y, 0.0)
    np.testing.assert_allclose([path.intercepts[0], *path.coefficients[0]], beta)
    wide, target = problem(20, 40)
    path = ridge_path(wide, target, 0.0)
    least_norm = np.linalg.pinv(wide - wide.mean(axis=0)) @ (target - target.mean())
    np.testing.assert_allclose(path.coefficients[0], least_norm, rtol=1e-8)


def test_many_folds_are_done_in_parts(monkeypatch):
    X, y = problem()
    whole = ridge_path(X, y, ALPHAS).scores
    monkeypatch.setattr("course_lib.validation._held_out.CHUNK", 3 * (X.shape[1] + 2) ** 2)
    np.testing.assert_allclose(ridge_path(X, y, ALPHAS).scores, whole, rtol=1e-12)


def leave_out_in_earnest(X, y, alphas):
    everyone = np.arange(len(y))
    return one_by_one(X, y, alphas, [(np.delete(everyone, i), [i]) for i in everyone], False)


@pytest.mark.parametrize("kind", [*KINDS, "one row decides a column"])
def test_leave_one_out_leaves_one_out(kind):
    X, y = spoilt(kind) if kind in KINDS else (np.column_stack([problem()[0], 1e5 * (np.arange(90) == 3)]), problem()[1])
    got = leave_one_out(X, y, ALPHAS[::4]).scores
    np.testing.assert_allclose(np.sqrt(got), np.sqrt(leave_out_in_earnest(X, y, ALPHAS[::4])), rtol=1e-7, atol=1e-9 * np.ptp(y))


def test_leave_one_out_equals_ridge_cv():
    X, y = load_diabetes(return_X_y=True)
    theirs = RidgeCV(ALPHAS, cv=None, store_cv_results=True).fit(X, y)
    ours = leave_one_out(X, y, ALPHAS)
    np.testing.assert_allclose(ours.scores, theirs.cv_results_.T, rtol=1e-9, atol=1e-9)
    assert ours.best_alpha == theirs.alpha_
    best = np.argmin(ours.mean)
    np.testing.assert_allclose(ours.coefficients[best], theirs.coef_)
    np.testing.assert_allclose(ours.intercepts[best], theirs.intercept_)


def test_leave_one_out_scaled_by_the_other_rows():
    X, y = problem(25, 3)
    everyone = np.arange(25)
    want = one_by_one(X, y, ALPHAS, [(np.delete(everyone, i), [i]) for i in everyone], True)
    np.testing.assert_allclose(leave_one_out(X, y, ALPHAS, standardize=True).scores, want, rtol=1e-7)


@pytest.mark.parametrize("path", [ridge_path, leave_one_out])
@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda X, y, a: (X.astype(object), y, a), TypeError, "X must hold real numbers"),
        (lambda X, y, a: (np.where(X > 2, np.nan, X), y, a), ValueError, "X has .* NaN"),
        (lambda X, y, a: (X, np.where(y > 2, np.inf, y), a), ValueError, "y has .* infinite"),
        (lambda X, y, a: (X[:, 0], y, a), ValueError, "X must have 2 axes"),
        (lambda X, y, a: (X[:0], y[:0], a), ValueError, "X is empty"),
        (lambda X, y, a: (X[:1], y[:1], a), ValueError, "one row"),
        (lambda X, y, a: (X, y[:-1], a), ValueError, "same number of rows"),
        (lambda X, y, a: (X, y, [-1.0]), ValueError, "alphas must be 0 or above"),
        (lambda X, y, a: (X, y, []), ValueError, "alphas is empty"),
        (lambda X, y, a: (X, y, np.ones((2, 2))), ValueError, "alphas must have shape"),
    ],
)
def test_clear_errors(path, change, error, says):
    with pytest.raises(error, match=says):
        path(*change(*problem(), ALPHAS))


def test_too_many_folds():
    with pytest.raises(ValueError, match="n_splits=91 is more than the 90 rows"):
        ridge_path(*problem(), ALPHAS, cv=91)
