"""Logistic regression for all penalties and all folds: Newton's method, all folds in one computation."""

from dataclasses import dataclass

import numpy as np

from course_lib._inputs import matrix_and_target, positive, two_classes
from course_lib.validation import _splits
from course_lib.validation._moments import origin, standard_scale
from course_lib.validation._path import Path

CLOSE = 1e-7  # stop at a Newton step that promises less per row; the error after it is about its square
OVERSHOT = 0.9  # a step is halved if the slope at its end rises more steeply than this share of the slope at its start
MAX_STEPS = 200
FEW_PAIRS = 2**24  # numbers in the table of products of two columns: 128 MB


@dataclass(frozen=True)
class LogisticPath(Path):
    """A `Path` whose penalties are 1 / C: `Cs` and `best_C` in scikit-learn's unit, scores are mean log losses."""

    @property
    def Cs(self):
        return 1 / self.alphas

    @property
    def best_C(self):
        return 1 / self.best_alpha


def logistic_path(X, y, Cs, cv=10, *, groups=None, standardize=False):
    """Return the log loss of logistic regression for each C and fold, and the fits on all rows.

    X (m, n); y (m,) of labels 0 and 1; Cs (n_Cs,) as in scikit-learn's LogisticRegression: C * sum of log losses +
    ||w||² / 2, intercept free. cv: number of folds (stratified, not shuffled), splitter or (train, test) pairs.
    `standardize` scales the columns by the training rows of each fold. scores (n_Cs, n_folds) are those of
    GridSearchCV with scoring="neg_log_loss", probabilities clipped as there, from a strictly converged solver.
    Raises ValueError or TypeError for data that are not finite numbers, Cs not above 0, one class, impossible folds;
    FloatingPointError where Newton's method fails (Cs so large that the classes are separated without end).

    >>> from sklearn.datasets import load_breast_cancer
    >>> logistic_path(*load_breast_cancer(return_X_y=True), np.logspace(-3, 1, 50), standardize=True).scores.shape
    (50, 10)
    """
    X, y = matrix_and_target(X, y)
    y = two_classes(y.ravel())
    Cs = np.atleast_1d(positive("Cs", Cs, example="np.logspace(-3, 3, 100)"))
    if Cs.ndim != 1:
        raise ValueError(f"Cs must have shape (n_Cs,); got {Cs.shape}. Use .ravel().")
    splits = _splits.folds(cv, X, y, groups, classifier=True)
    for i, (train, _) in enumerate(splits):
        if np.ptp(y[train]) == 0:
            raise ValueError(f"cv: fold {i} trains on one class only. Use StratifiedKFold or fewer folds.")
    scale = _scale(X)
    means = origin(X, y)[:-1]
    A = np.column_stack([np.ones(len(X)), (X - means) / scale])
    everyone = [*(train for train, _ in splits), np.arange(len(X))]  # the folds, and last the fit on all rows
    rows = np.stack([np.bincount(train, minlength=len(X)) for train in everyone]).astype(float)
    divisors = np.stack([_scale(X[train]) if standardize else np.ones_like(scale) for train in everyone])
    penalties = np.insert((divisors / scale) ** 2, 0, 0.0, axis=1)
    increasing, place = np.unique(Cs, return_inverse=True)
    thetas = _path(A, y, rows, penalties, increasing)[place]
    scores = np.stack([_log_loss(A[test] @ thetas[:, k].T, y[test]) for k, (_, test) in enumerate(splits)], axis=1)
    coefficients = thetas[:, -1, 1:] / scale
    return LogisticPath(1 / Cs, scores, coefficients, thetas[:, -1, 0] - coefficients @ means)


def _scale(X):
    return standard_scale(X.var(axis=0), X.mean(axis=0), len(X))


def _log_loss(z, y):
    """Return the mean log loss of each column of logits z, clipped as scikit-learn's log_loss."""
    p = _sigmoid(z)
    eps = np.finfo(float).eps
    return -np.log(np.clip(np.where(y[:, None] == 1, p, 1 - p), eps, 1 - eps)).mean(axis=0)


def _sigmoid(z):
    with np.errstate(over="ignore"):  # exp(-z) = inf is right here: the probability is 0
        return 1 / (1 + np.exp(-z))


def _path(A, y, rows, penalties, Cs):
    """Return theta for each C (increasing) and set of training rows, (n_Cs, k, n + 1), the intercept first."""
    hessian = _hessian(A)
    thetas = np.zeros((len(Cs), len(rows), A.shape[1]))
    for i, C in enumerate(Cs):
        start = thetas[i - 1]
        if i >= 2:  # go on as before: the path is smooth in log C
            start = start + (start - thetas[i - 2]) * np.log(C / Cs[i - 1]) / np.log(Cs[i - 1] / Cs[i - 2])
        thetas[i] = _newton(A, y, rows, penalties / C, start, hessian)
    return thetas


def _newton(A, y, rows, penalties, theta, hessian):
    """Minimise all k problems from `theta`, (k, n + 1), each with its training rows (k, m) and penalties (k, n + 1)."""
    step, slope = np.zeros_like(theta), np.full(len(theta), np.inf)
    for _ in range(MAX_STEPS):
        p = _sigmoid(theta @ A.T)
        gradient = (rows * (p - y)) @ A + penalties * theta
        overshot = -(gradient * step).sum(axis=1) > OVERSHOT * slope
        if overshot.any():
            step, slope = np.where(overshot[:, None], step / 2, 0.0), slope / 2
            theta = theta + step
            continue
        H = hessian(rows * p * (1 - p))
        np.einsum("kii->ki", H)[:] += penalties
        step = np.linalg.solve(H, gradient[:, :, None])[:, :, 0]
        slope = (gradient * step).sum(axis=1)
        theta = theta - step
        if slope.max() < CLOSE * len(y):
            return theta
    raise FloatingPointError(f"Newton's method did not converge for a penalty 1/C of {penalties.max():.3g}. Use smaller Cs.")


def _hessian(A):
    """Return the function weights (k, m) -> A' diag(weights) A for each, (k, n + 1, n + 1)."""
    n = A.shape[1]
    if len(A) * n * (n + 1) // 2 > FEW_PAIRS:
        return lambda weights: np.stack([(A.T * w) @ A for w in weights])
    i, j = np.triu_indices(n)
    pairs = A[:, i] * A[:, j]  # one product with this table gives all k matrices

    def from_pairs(weights):
        H = np.empty((len(weights), n, n))
        H[:, i, j] = H[:, j, i] = weights @ pairs
        return H

    return from_pairs
