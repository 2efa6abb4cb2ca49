"""The squared error on held-out rows, from sums over these rows where that is exact enough."""

import numpy as np

from course_lib.validation._moments import about, all_moments, fold_moments, origin
from course_lib.validation._splitter import all_but

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
    scores = []
    for i in range(0, len(splits), folds_at_once):
        part = splits[i : i + folds_at_once]
        trained, tested = fold_moments(X, y, start, total, part)
        means, W, exact = from_moments(np.concatenate([trained, total[None]]), total)  # the last fit is that on all rows
        errors, safe = _squared_errors(about(means[:-1], tested), W[:-1])
        errors /= tested[:, -1, -1, None]
        for k in np.flatnonzero(~(exact[:-1] & safe.all(axis=1))):
            train, test = part[k]
            train = all_but(test, len(X)) if train is None else train
            fold_means, w = (start + means[k], W[k]) if exact[k] else from_rows(X[train], y[train])
            errors[k] = np.mean((y[test, None] - fold_means[-1] - (X[test] - fold_means[:-1]) @ w) ** 2, axis=0)
        scores.append(errors)
    means, w = (start + means[-1], W[-1]) if exact[-1] else from_rows(X, y)
    return np.concatenate(scores).T, w.T, means[-1] - means[:-1] @ w


def _squared_errors(C, W):
    """Return sum (y - X w)² from the test moments C, shape (k, n_alphas), and where it kept enough digits."""
    terms = np.concatenate([-W, np.ones_like(W[:, :1])], axis=1)  # y - X w = [X, y] [-w, 1]
    errors = (terms * (C @ terms)).sum(axis=1)
    largest = (np.sqrt(np.einsum("kii->ki", C))[:, None, :] @ np.abs(terms))[:, 0] ** 2
    return errors, errors > LEFT_OF_ERROR * largest
