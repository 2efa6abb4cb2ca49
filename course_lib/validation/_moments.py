"""Sums over rows that stand for the rows themselves.

With A = [X, y, 1] the matrix A'A holds every sum that least squares needs. It is additive: the training rows of a
fold have the matrix of all rows minus that of the test rows, without another pass over the data.
"""

import numpy as np

LEFT_TO_TRAIN = 1e-3  # share of a column's sum of squares that a fold's subtraction must leave


def augmented(X, y):
    """Return A = [X, y, 1] with X and y centred, which changes no answer and keeps the sums small."""
    A = np.empty((len(X), X.shape[1] + 2))
    centred_columns(X, out=A[:, :-2])
    A[:, -2] = y - y.mean()
    A[:, -1] = 1.0
    return A


def column_means(X):
    """Return the mean of each column (a product: for few columns several times faster than X.mean(axis=0))."""
    return np.ones(len(X)) @ X / len(X)


def centred_columns(X, out=None):
    """Return X minus its column means; a constant column becomes exactly zero, though its mean is rounded."""
    Z = np.subtract(X, column_means(X), out=out)
    maybe = np.flatnonzero(X[0] == X[-1])  # rarely any: then the columns need not be read
    Z[:, maybe[(X[:, maybe] == X[0, maybe]).all(axis=0)]] = 0.0
    return Z


def fold_moments(A, total, splits):
    """Return A'A over the training rows and over the test rows of each fold, each (n_folds, n + 2, n + 2).

    `total` is A'A over all rows.
    """
    tested = np.stack([_moments(A, test) for _, test in splits])
    trained = total - tested
    for i, (train, test) in enumerate(splits):
        if not _all_rows_once(len(A), train, test):
            trained[i] = _moments(A, train)
    return trained, tested


def _moments(A, rows):
    first, last = rows[0], rows[-1]
    neighbours = last - first + 1 == len(rows) and (rows[1:] > rows[:-1]).all()
    B = A[first : last + 1] if neighbours else A[rows]  # neighbouring rows need no copy
    return B.T @ B


def _all_rows_once(n, train, test):
    if len(train) + len(test) != n:
        return False
    seen = np.zeros(n, dtype=bool)
    seen[train] = seen[test] = True
    return bool(seen.all())


def about_their_means(moments):
    """Return the means (..., n + 1) of [X, y] and the sums of squares and products about them (..., n + 1, n + 1)."""
    means = moments[..., :-1, -1] / moments[..., -1, -1, None]
    return means, about(means, moments)


def about(means, moments):
    """Return the sums of squares and products of [X, y] about `means`, which may be those of other rows."""
    sums, rows = moments[..., :-1, -1, None], moments[..., -1, -1, None, None]
    means = means[..., None]
    return moments[..., :-1, :-1] - sums * means.mT + means * (rows * means - sums).mT


def standard_scale(variance, mean, n):
    """Return the divisor of each column that scikit-learn's StandardScaler takes: 1 where the column is constant."""
    eps = np.finfo(float).eps
    constant = variance <= n * eps * variance + (n * mean * eps) ** 2
    return np.sqrt(np.where(constant, 1.0, variance))


def standardized(moments, total, standardize):
    """Return what a fit needs of each of k moment matrices.

    means (k, n + 1) and sums of squares and products about them, (k, n + 1, n + 1), columns of X divided by
    divisors (k, n), which are 1 unless `standardize`; and which of the k kept enough digits in the subtraction, (k,).
    """
    means, C = about_their_means(moments)
    squares = np.einsum("kii->ki", C).copy()
    kept = (squares >= LEFT_TO_TRAIN * np.diagonal(total)[:-1]).all(axis=1)
    divisors = np.ones_like(means)
    if standardize:
        rows = moments[:, -1, -1, None]
        divisors[:, :-1] = standard_scale(squares / rows, means, rows)[:, :-1]
        C /= divisors[:, :, None] * divisors[:, None, :]
    return means, C, divisors[:, :-1], kept
