"""The squared error on held-out rows, from sums over these rows where that is exact enough."""

import numpy as np

from course_lib.validation._moments import about, all_moments, fold_moments, origin

LEFT_OF_ERROR = 1e-6  # share of the squared terms that their sum, the squared error, must have
CHUNK = 2**23  # numbers in one stack of moment matrices: 64 MB


def errors_and_fits(X, y, splits, from_moments, from_rows):
    """Return the mean squared test errors (n_alphas, n_folds) and the fits on all rows: coefficients, intercepts.

    `from_moments(moments, total)` fits all penalties for a stack of k moment matrices: means of X and y (k, n + 1),
    coefficients (k, n, n_alphas), and which of the k fits are exact enough, (k,).
    `from_rows(X, y)` does so for one fold where they are not: means (n + 1,), coefficients (n, n_alphas).
    """
    start = origin(X, y)
    total = all_moments(X, y, start)
    folds_at_once = max(1, CHUNK // total.size)
    parts = [splits[i : i + folds_at_once] for i in range(0, len(splits), folds_at_once)]
    scores = np.concatenate([_errors(X, y, start, total, part, from_moments, from_rows) for part in parts])
    means, W, exact = from_moments(total[None], total)
    means, w = (start + means[0], W[0]) if exact[0] else from_rows(X, y)
    return scores.T, w.T, means[-1] - means[:-1] @ w


def _errors(X, y, start, total, splits, from_moments, from_rows):
    trained, tested = fold_moments(X, y, start, total, splits)
    means, W, exact = from_moments(trained, total)
    errors, safe = _squared_errors(about(means, tested), W)
    scores = errors / tested[:, -1, -1, None]
    for i in np.flatnonzero(~(exact & safe.all(axis=1))):
        train, test = splits[i]
        fold_means, w = (start + means[i], W[i]) if exact[i] else from_rows(X[train], y[train])
        residuals = y[test, None] - fold_means[-1] - (X[test] - fold_means[:-1]) @ w
        scores[i] = np.mean(residuals**2, axis=0)
    return scores


def _squared_errors(C, W):
    """Return sum (y - X w)² from the test moments C, shape (k, n_alphas), and where it kept enough digits."""
    terms = np.concatenate([-W, np.ones_like(W[:, :1])], axis=1)  # y - X w = [X, y] [-w, 1]
    errors = (terms * (C @ terms)).sum(axis=1)
    largest = (np.sqrt(np.einsum("kii->ki", C))[:, None, :] @ np.abs(terms))[:, 0] ** 2
    return errors, errors > LEFT_OF_ERROR * largest
