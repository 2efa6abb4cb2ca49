"""The answer of every path: one row of scores for each penalty."""

from dataclasses import dataclass

import numpy as np

from course_lib._inputs import matrix_and_target, not_negative


@dataclass(frozen=True)
class Path:
    """Held-out scores of a family of models, one for each penalty, and the models fitted on all rows.

    alphas (n_alphas,); scores (n_alphas, n_folds), lower is better; coefficients (n_alphas, n_features) and
    intercepts (n_alphas,), in the units of X.
    """

    alphas: np.ndarray
    scores: np.ndarray
    coefficients: np.ndarray
    intercepts: np.ndarray

    @property
    def mean(self):
        """Mean score over the folds, shape (n_alphas,)."""
        return self.scores.mean(axis=1)

    @property
    def best_alpha(self):
        """The penalty with the lowest mean score. That lowest score itself is optimistic: it was chosen."""
        return float(self.alphas[np.argmin(self.mean)])


def checked(X, y, alphas):
    """Return X (m, n), y (m,) and alphas (n_alphas,) as float arrays; raise if one cannot be used."""
    X, y = matrix_and_target(X, y)
    alphas = np.atleast_1d(not_negative("alphas", alphas, example="np.logspace(-3, 3, 100)"))
    if alphas.ndim != 1:
        raise ValueError(f"alphas must have shape (n_alphas,); got {alphas.shape}. Use .ravel().")
    if len(X) < 2:
        raise ValueError("X has one row. Pass at least two.")
    return X, y.ravel(), alphas
