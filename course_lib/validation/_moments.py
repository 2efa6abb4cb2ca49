"""Sums over rows that stand for the rows themselves.

With A = [X, y, 1] the matrix A'A, here called the moments, holds every sum that least squares needs. It is additive:
the training rows of a fold have the moments of all rows minus those of the test rows, without another pass over them.
"""

import numpy as np

LEFT_TO_TRAIN = 1e-3  # share of a column's sum of squares that a fold's subtraction must leave
BLOCK = 2**17  # numbers of A at a time: 1 MB stays in the processor's cache


def origin(X, y):
    """Return what X and y are measured from, (n + 1,): about their means, which changes no answer and keeps sums small.

    It is the value itself where a column is constant: a mean is rounded, and the column must become exactly zero.
    """
    means = np.ones(len(X)) @ X / len(X)  # for few columns several times faster than X.mean(axis=0)
    maybe = np.flatnonzero(X[0] == X[-1])  # rarely any: then no column need be read for this
    constant = maybe[(X[:, maybe] == X[0, maybe]).all(axis=0)]
    means[constant] = X[0, constant]
    return np.append(means, y.mean())


def moments(X, y, start, rows):
    """Return A'A, (n + 2, n + 2), over the given rows (numbers or a slice) of X and y measured from `start`."""
    X, y = X[rows], y[rows]
    A = np.empty((len(X), X.shape[1] + 2))
    np.subtract(X, start[:-1], out=A[:, :-2])
    np.subtract(y, start[-1], out=A[:, -2])
    A[:, -1] = 1.0
    return A.T @ A


def all_moments(X, y, start):
    """Return A'A over all rows, block by block."""
    rows = max(256, BLOCK // (X.shape[1] + 2))
    return sum(moments(X, y, start, slice(i, i + rows)) for i in range(0, len(X), rows))


def fold_moments(X, y, start, total, splits):
    """Return A'A over the training rows and over the test rows of each fold, each (n_folds, n + 2, n + 2).

    splits: pairs (train, test); train is None where it is all other rows.
    """
    tested = np.stack([moments(X, y, start, _slice(test)) for _, test in splits])
    trained = total - tested
    for i, (train, _) in enumerate(splits):
        if train is not None:
            trained[i] = moments(X, y, start, train)
    return trained, tested


def _slice(rows):
    """Return `rows` as a slice where they are neighbours, which then need no copy."""
    first, last = rows[0], rows[-1]
    neighbours = last - first + 1 == len(rows) and (rows[1:] > rows[:-1]).all()
    return slice(first, last + 1) if neighbours else rows


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
