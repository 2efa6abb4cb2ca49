"""Ridge regression for all penalties and all folds at once.

One eigendecomposition X'X = V diag(l) V' answers every penalty: w(alpha) = V (V'X'y / (l + alpha)).
The X'X of each fold comes by subtraction, and so does the squared error on its test rows (`_moments`).
Where too many digits would be lost on the way, the fold is solved from its rows instead.
"""

import numpy as np

from course_lib.validation import _splits
from course_lib.validation._moments import about, about_their_means, augmented, centred_columns, column_means, fold_moments, standard_scale
from course_lib.validation._path import Path, checked

LEFT_TO_TRAIN = 1e-3  # share of a column's sum of squares that a fold's subtraction must leave
LEFT_OF_ERROR = 1e-6  # share of the squared terms that their sum, the squared error, must have
CONDITION = 1e-8  # (smallest eigenvalue + penalty) / largest eigenvalue
CHUNK = 2**23  # numbers in one stack of moment matrices: 64 MB


def ridge_path(X, y, alphas, cv=10, *, groups=None, standardize=True):
    """Return the mean squared error of ridge regression for each penalty and fold, and the fits on all rows.

    X (m, n), y (m,), alphas (n_alphas,) as in scikit-learn's Ridge: sum of squares + alpha ||w||², intercept free.
    cv: number of folds (not shuffled), splitter or (train, test) pairs. `standardize` scales the columns by the
    training rows of each fold. The scores are those of GridSearchCV over make_pipeline(StandardScaler(), Ridge())
    to 1e-8, a thousand times sooner, so that a slider can move the whole curve.
    Raises ValueError or TypeError for data that are not finite numbers, negative alphas and impossible folds.

    >>> from sklearn.datasets import load_diabetes
    >>> path = ridge_path(*load_diabetes(return_X_y=True), np.logspace(-2, 4, 100))
    >>> path.scores.shape, path.coefficients.shape
    ((100, 10), (100, 10))
    """
    X, y, alphas = checked(X, y, alphas)
    splits = _splits.folds(cv, X, y, groups)
    A = augmented(X, y)
    total = A.T @ A
    folds_at_once = max(1, CHUNK // A.shape[1] ** 2)
    parts = [splits[i : i + folds_at_once] for i in range(0, len(splits), folds_at_once)]
    scores = np.concatenate([_scores(X, y, A, total, part, alphas, standardize) for part in parts])
    return Path(alphas, scores.T, *_fit_all(X, y, total, alphas, standardize))


def _scores(X, y, A, total, splits, alphas, standardize):
    """Return the mean squared test errors, shape (n_folds, n_alphas)."""
    trained, tested = fold_moments(A, total, splits)
    means, W, exact = _solve(trained, total, alphas, standardize)
    errors, safe = _squared_errors(about(means, tested), W)
    scores = errors / tested[:, -1, -1, None]
    for i in np.flatnonzero(~(exact & safe.all(axis=1))):
        train, test = splits[i]
        if not exact[i]:
            x_mean, y_mean, w = fit_rows(X[train], y[train], alphas, standardize)
            scores[i] = np.mean((y[test, None] - y_mean - (X[test] - x_mean) @ w) ** 2, axis=0)
        else:
            scores[i] = np.mean((A[test, -2, None] - means[i, -1] - (A[test, :-2] - means[i, :-1]) @ W[i]) ** 2, axis=0)
    return scores


def _solve(moments, total, alphas, standardize):
    """Solve each fold from its moments: means (k, n + 1), coefficients (k, n, n_alphas), exact enough? (k,)."""
    means, C = about_their_means(moments)
    rows, squares = moments[:, -1, -1], np.einsum("kii->ki", C)
    divisor = standard_scale(squares / rows[:, None], means, rows[:, None])[:, :-1] if standardize else np.ones_like(means[:, :-1])
    values, V = np.linalg.eigh(C[:, :-1, :-1] / (divisor[:, :, None] * divisor[:, None, :]))
    left = (squares >= LEFT_TO_TRAIN * np.diagonal(total)[:-1]).all(axis=1)
    exact = left & (values[:, 0] + alphas.min() > CONDITION * values[:, -1]) & (rows > values.shape[1])
    values[~exact] = 1.0  # anything that divides: these folds are solved from their rows
    coordinates = V.mT @ (C[:, :-1, -1] / divisor)[:, :, None] / (values[:, :, None] + alphas)
    return means, V @ coordinates / divisor[:, :, None], exact


def _squared_errors(C, W):
    """Return sum (y - X w)² from the test moments C, shape (k, n_alphas), and where it kept enough digits."""
    terms = np.concatenate([-W, np.ones_like(W[:, :1])], axis=1)  # y - X w = [X, y] [-w, 1]
    errors = (terms * (C @ terms)).sum(axis=1)
    largest = (np.sqrt(np.einsum("kii->ki", C))[:, None, :] @ np.abs(terms))[:, 0] ** 2
    return errors, errors > LEFT_OF_ERROR * largest


def fit_rows(X, y, alphas, standardize):
    """Return column means, mean of y and coefficients (n, n_alphas), by the singular values of the rows.

    Slower than moments and never wrong by more than rounding; with alpha = 0 the solution of least norm.
    """
    x_mean, Z = X.mean(axis=0), centred_columns(X)
    divisor = standard_scale(np.mean(Z**2, axis=0), x_mean, len(X)) if standardize else np.ones(X.shape[1])
    U, s, Vt = singular_values(Z / divisor)
    coordinates = (s * (U.T @ (y - y.mean())))[:, None] / (s[:, None] ** 2 + alphas)
    return x_mean, y.mean(), Vt.T @ coordinates / divisor[:, None]


def singular_values(Z):
    """Return U (m, r), s (r,), Vt (r, n) with Z = U diag(s) Vt, without the directions that are only rounding."""
    U, s, Vt = np.linalg.svd(Z, full_matrices=False)
    used = s > np.finfo(float).eps * max(Z.shape) * s[0]
    return U[:, used], s[used], Vt[used]


def _fit_all(X, y, total, alphas, standardize):
    """Return coefficients (n_alphas, n) and intercepts (n_alphas,) of the fits on all rows."""
    _, W, exact = _solve(total[None], total, alphas, standardize)
    x_mean, y_mean, w = (column_means(X), y.mean(), W[0]) if exact[0] else fit_rows(X, y, alphas, standardize)
    return w.T, y_mean - x_mean @ w
