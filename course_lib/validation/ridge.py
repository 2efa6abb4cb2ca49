"""Ridge regression for all penalties and all folds at once.

One eigendecomposition X'X = V diag(l) V' answers every penalty: w(alpha) = V (V'X'y / (l + alpha)).
The X'X of each fold comes by subtraction, and so does the squared error on its test rows (`_moments`).
Where too many digits would be lost on the way, the fold is solved from its rows instead.
"""

from functools import partial

import numpy as np

from course_lib.validation import _splits
from course_lib.validation._held_out import errors_and_fits
from course_lib.validation._moments import origin, standard_scale, standardized
from course_lib.validation._path import Path, checked

CONDITION = 1e-8  # (smallest eigenvalue + penalty) / largest eigenvalue; below, the rows decide


def ridge_path(X, y, alphas, cv=10, *, groups=None, standardize=False):
    """Return the mean squared error of ridge regression for each penalty and fold, and the fits on all rows.

    X (m, n), y (m,), alphas (n_alphas,) as in scikit-learn's Ridge: sum of squares + alpha ||w||², intercept free.
    cv: number of folds (not shuffled), splitter or (train, test) pairs. The scores are those of GridSearchCV over
    Ridge() to 1e-8, a thousand times sooner, so that a slider can move the whole curve. `standardize=True` scales the
    columns by the training rows of each fold, as make_pipeline(StandardScaler(), Ridge()) does: wanted wherever the
    columns have different units, since a penalty compares their coefficients.
    Raises ValueError or TypeError for data that are not finite numbers, negative alphas and impossible folds.

    >>> from sklearn.datasets import load_diabetes
    >>> path = ridge_path(*load_diabetes(return_X_y=True), np.logspace(-2, 4, 100))
    >>> path.scores.shape, path.coefficients.shape
    ((100, 10), (100, 10))
    """
    X, y, alphas = checked(X, y, alphas)
    splits = _splits.held_out(cv, X, y, groups)
    solve, solve_rows = (partial(f, alphas=alphas, standardize=standardize) for f in (fit_moments, fit_rows))
    return Path(alphas, *errors_and_fits(X, y, splits, solve, solve_rows))


def fit_moments(moments, total, alphas, standardize):
    """Fit each of k moment matrices: means (k, n + 1), coefficients (k, n, n_alphas), exact enough? (k,)."""
    means, C, divisors, exact = standardized(moments, total, standardize)
    values, V = np.linalg.eigh(C[:, :-1, :-1])
    exact &= (values[:, 0] + alphas.min() > CONDITION * values[:, -1]) & (moments[:, -1, -1] > values.shape[1])
    values[~exact] = 1.0  # anything that divides: these folds are solved from their rows
    coordinates = V.mT @ C[:, :-1, -1:] / (values[:, :, None] + alphas)
    return means, V @ coordinates / divisors[:, :, None], exact


def fit_rows(X, y, alphas, standardize):
    """Return the means of X and y, (n + 1,), and coefficients (n, n_alphas), by the singular values of the rows.

    Slower than moments and never wrong by more than rounding; with alpha = 0 the solution of least norm.
    """
    means = origin(X, y)
    Z = X - means[:-1]
    divisor = standard_scale(np.mean(Z**2, axis=0), means[:-1], len(X)) if standardize else np.ones(X.shape[1])
    U, s, Vt = singular_values(Z / divisor)
    coordinates = (s * (U.T @ (y - means[-1])))[:, None] / (s[:, None] ** 2 + alphas)
    return means, Vt.T @ coordinates / divisor[:, None]


def singular_values(Z):
    """Return U (m, r), s (r,), Vt (r, n) with Z = U diag(s) Vt, without the directions that are only rounding."""
    U, s, Vt = np.linalg.svd(Z, full_matrices=False)
    used = s > np.finfo(float).eps * max(Z.shape) * s[0]
    return U[:, used], s[used], Vt[used]
