"""The lasso for all penalties and all folds, from the same sums over rows as ridge (`_moments`)."""

import warnings
from functools import partial

import numpy as np

from course_lib._inputs import positive
from course_lib.validation import _splits
from course_lib.validation._held_out import errors_and_fits
from course_lib.validation._moments import all_moments, origin, standardized
from course_lib.validation._path import Path, checked

TOLERANCE = 1e-6  # largest move of the predictions in the last sweep, in norms of y
MAX_SWEEPS = 20_000


def lasso_path(X, y, alphas, cv=10, *, groups=None, standardize=False):
    """Return the mean squared error of the lasso for each penalty and fold, and the fits on all rows.

    alphas (n_alphas,), above 0, as in scikit-learn's Lasso: sum of squares / (2 m) + alpha ||w||_1, intercept free.
    Other arguments, errors and result as in `ridge_path`. Coefficients that are out are exactly zero.
    The scores are those of scikit-learn's LassoCV with a strict tolerance to about 1e-5 (its default one: 5e-3).
    The first call compiles for some seconds (Numba; kept on disk afterwards). Warns where it did not converge.

    >>> from sklearn.datasets import load_diabetes
    >>> path = lasso_path(*load_diabetes(return_X_y=True), [0.1, 1.0, 10.0], standardize=True)
    >>> np.count_nonzero(path.coefficients, axis=1)
    array([9, 7, 4])
    """
    X, y, alphas = checked(X, y, alphas)
    alphas = np.atleast_1d(positive("alphas", alphas, example="np.logspace(-3, 1, 100)"))
    splits = _splits.held_out(cv, X, y, groups)
    solve = partial(_fit_moments, alphas=alphas, standardize=standardize)

    def solve_rows(X, y):
        start = origin(X, y)
        total = all_moments(X, y, start)
        means, W, _ = solve(total[None], total)
        return start + means[0], W[0]

    return Path(alphas, *errors_and_fits(X, y, splits, solve, solve_rows))


def _fit_moments(moments, total, alphas, standardize):
    """Fit each of k moment matrices: means (k, n + 1), coefficients (k, n, n_alphas), exact enough? (k,)."""
    from course_lib.validation._coordinate_descent import lasso  # loads Numba

    means, C, divisors, exact = standardized(moments, total, standardize)
    strongest_first = np.argsort(-alphas)
    W = np.empty((len(C), len(alphas), C.shape[1] - 1))
    missed = 0
    for k, (sums, rows) in enumerate(zip(C, moments[:, -1, -1], strict=True)):
        G, b = np.ascontiguousarray(sums[:-1, :-1]), np.ascontiguousarray(sums[:-1, -1])
        W[k, strongest_first], not_converged = lasso(G, b, np.sqrt(sums[-1, -1]), rows * alphas[strongest_first], TOLERANCE, MAX_SWEEPS)
        missed += not_converged
    if missed:
        warnings.warn(f"The lasso did not converge for {missed} of {W.shape[0] * W.shape[1]} fits. Use larger alphas.", stacklevel=2)
    return means, W.mT / divisors[:, :, None], exact
