"""Leave-one-out for all penalties at once: m models for the price of one."""

import numpy as np

from course_lib.validation._moments import origin
from course_lib.validation._path import Path, checked
from course_lib.validation.kfold import KFold
from course_lib.validation.ridge import fit_rows, ridge_path, singular_values

CONDITION = 1e-6  # smallest over largest eigenvalue; below, the slower SVD
FREE = 1e-6  # a row whose own prediction hangs on it by all but this much is left out in earnest


def leave_one_out(X, y, alphas, *, standardize=False):
    """Return the squared error of each left-out row for each penalty, scores of shape (n_alphas, m), and the fits.

    Ridge regression with alphas as in scikit-learn's Ridge. Nothing is fitted m times: leaving row i out turns its
    residual e into e / (1 - h), where h is the row's weight in its own prediction, and all h come from one
    decomposition of X. Same errors as `RidgeCV(alphas, cv=None, store_cv_results=True)`.
    With `standardize=True` each row is scaled by the m - 1 others, which no such formula covers: that is
    `ridge_path` with m folds, exact too but with m decompositions.
    Raises ValueError or TypeError for data that are not finite numbers and negative alphas.

    >>> from sklearn.datasets import load_diabetes
    >>> leave_one_out(*load_diabetes(return_X_y=True), np.logspace(-4, 1, 50)).scores.shape
    (50, 442)
    """
    X, y, alphas = checked(X, y, alphas)
    if standardize:
        return ridge_path(X, y, alphas, cv=KFold(len(X)), standardize=True)
    means = origin(X, y)
    U, s, Vt = _decompose(X - means[:-1])
    residuals, free = _residuals(U, s, y - means[-1], alphas)
    bound = np.flatnonzero(free.min(axis=0) < FREE * free.max())
    free[:, bound] = 1.0  # anything that divides: these rows come next
    scores = np.square(np.divide(residuals, free, out=residuals), out=residuals)
    for i in bound:
        others, w = fit_rows(np.delete(X, i, axis=0), np.delete(y, i), alphas, standardize=False)
        scores[:, i] = (y[i] - others[-1] - (X[i] - others[:-1]) @ w) ** 2
    coefficients = (U.T @ (y - means[-1]) * s / (s**2 + alphas[:, None])) @ Vt
    return Path(alphas, scores, coefficients, means[-1] - coefficients @ means[:-1])


def _decompose(Z):
    """Return U, s, Vt with Z = U diag(s) Vt: from Z'Z where it is short and well conditioned."""
    if len(Z) > Z.shape[1] + 1:
        values, V = np.linalg.eigh(Z.T @ Z)
        if values[0] > CONDITION * values[-1]:
            s = np.sqrt(values)
            return Z @ (V / s), s, V.T
    return singular_values(Z)


def _residuals(U, s, y, alphas):
    """Return e and 1 - h for each penalty and row, (n_alphas, m), up to a factor that their quotient does not need.

    The part of y that no column reaches stays as it is; along each column of U a share alpha / (s² + alpha) stays.
    """
    z = U.T @ y
    if len(y) - 1 == len(s):  # the columns reach everything: without that part, alpha cancels (and may be 0)
        weights = 1 / (s**2 + alphas[:, None])
        return (weights * z) @ U.T, weights @ (U**2).T
    weights = alphas[:, None] / (s**2 + alphas[:, None])
    unreached, room = y - U @ z, 1 - 1 / len(y) - (U**2).sum(axis=1)
    return _product(weights * z, U, unreached), _product(weights, U**2, room)


def _product(weights, U, constant):
    """Return weights @ U.T + constant in one product: a second pass to add would cost as much again."""
    one = np.ones((len(weights), 1))
    return np.concatenate([weights, one], axis=1) @ np.concatenate([U, constant[:, None]], axis=1).T
