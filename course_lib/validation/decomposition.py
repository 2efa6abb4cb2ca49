"""The error of ridge regression taken apart, exactly, where the truth is known (B 8.3.2.1).

With y = f(x) + noise the fit is linear in y, so its mean and its variance over all samples that the same inputs could
have given are sums, not simulations. One singular value decomposition of the inputs answers every penalty.
"""

from dataclasses import dataclass, field

import numpy as np

from course_lib._inputs import matrix_and_target, not_negative, numeric, whole
from course_lib.validation._path import checked
from course_lib.validation.ridge import singular_values


def cosine_features(x, n_waves):
    """Return cosines of 1 to `n_waves` half waves on [-1, 1] at inputs x (m,): shape (m, n_waves), no column of ones.

    Wave k has a standard deviation of 1/k for x uniform on [-1, 1]. So a penalty, and the solution of least norm where
    there are more columns than rows, prefer slow waves. Any continuous function is a sum of such waves.

    >>> cosine_features([-1.0, 0.0, 1.0], 2).round(3).tolist()
    [[1.414, 0.707], [0.0, -0.707], [-1.414, 0.707]]
    """
    x, n_waves = numeric("x", x, ndim=1), whole("n_waves", n_waves)
    if np.abs(x).max() > 1:
        raise ValueError(f"x must lie in [-1, 1]; got values up to {np.abs(x).max():g}. Scale it first.")
    k = np.arange(1, n_waves + 1)
    return np.cos(np.pi / 2 * k * (x[:, None] + 1)) * (np.sqrt(2) / k)


def bias_variance(X, truth, X_new, truth_new, alphas, noise):
    """Return the exact expected error of ridge regression for each penalty, in the parts that it has.

    X (m, n) are the inputs of the training rows, truth (m,) the true function there; X_new (k, n) and truth_new (k,)
    the same where the fit is judged. A sample is y = truth + noise * standard normal, at the same inputs each time;
    `noise` is that standard deviation. alphas as in scikit-learn's Ridge: sum of squares + alpha ||w||², intercept
    free. alpha = 0 is least squares, and with n >= m the solution of least norm, which passes through every row.
    Raises ValueError or TypeError for data that are not finite numbers or do not belong together, and for negative
    alphas or noise.

    Source: the decomposition of Geman, Bienenstock and Doursat (1992); for a linear fit S y it is
    bias = S f - f, variance = noise² (sum of squares of each row of S).

    >>> x = new = np.linspace(-1, 1, 15)
    >>> parts = bias_variance(cosine_features(x, 9), np.sin(3 * x), cosine_features(new, 9), np.sin(3 * new), [0, 0.1, 10], 0.3)
    >>> bool(np.allclose(parts.error, parts.bias2 + parts.variance + parts.noise))
    True
    >>> parts.bias2.argmin(), parts.variance.argmin()               # a penalty trades one for the other
    (np.int64(0), np.int64(2))
    """
    X, truth, alphas = checked(X, truth, alphas)
    X_new, truth_new = matrix_and_target(X_new, truth_new)
    noise = not_negative("noise", noise, example="0.3", ndim=0)
    if X_new.shape[1] != X.shape[1]:
        raise ValueError(f"X_new must have the {X.shape[1]} columns of X; got {X_new.shape[1]}. Make both with the same features.")
    center = X.mean(axis=0)
    U, s, Vt = singular_values(X - center)
    shrink = s / (s**2 + alphas[:, None])
    return BiasVariance(alphas, noise**2, truth, truth_new.ravel(), U, s * shrink, shrink, (X_new - center) @ Vt.T)


@dataclass(frozen=True)
class BiasVariance:
    """What `bias_variance` returns. One row for each of `alphas` (n_alphas,); `noise` is the variance of the noise.

    Means over the k new inputs, each (n_alphas,): `bias2`, `variance`, and `error` = bias2 + variance + noise, the
    mean squared error on new rows. `training_error` (n_alphas,) is the mean squared error on the training rows, and
    `degrees_of_freedom` the number of parameters that are left of the fit. At each new input, (n_alphas, k):
    `mean_prediction` and `variance_at`. All of them are means over all samples; `predict` and `fitted` take one.
    """

    alphas: np.ndarray
    noise: float
    truth: np.ndarray = field(repr=False)  # (m,)
    truth_new: np.ndarray = field(repr=False)  # (k,)
    _U: np.ndarray = field(repr=False)  # (m, r): orthonormal, and orthogonal to the intercept's column of ones
    _kept: np.ndarray = field(repr=False)  # (n_alphas, r): the part of y along each column of U that the fit keeps
    _shrink: np.ndarray = field(repr=False)  # (n_alphas, r): from U'y to coordinates
    _directions: np.ndarray = field(repr=False)  # (k, r): the new inputs in the same coordinates

    def predict(self, y):
        """Return the predictions at the new inputs, fitted to targets y (m,): shape (n_alphas, k).

        Leading axes of y are a batch: many samples (q, m) give (q, n_alphas, k).
        """
        mean, along = self._projected(y)
        return mean + (along * self._shrink) @ self._directions.T

    def fitted(self, y):
        """Return the predictions at the training rows, fitted to targets y (..., m): shape (..., n_alphas, m)."""
        mean, along = self._projected(y)
        return mean + (along * self._kept) @ self._U.T

    def _projected(self, y):
        y = numeric("y", y)
        if y.shape[-1:] != self.truth.shape:
            raise ValueError(f"y must have shape (..., {len(self.truth)}), one target for each row of X; got {y.shape}.")
        return y.mean(axis=-1)[..., None, None], (y @ self._U)[..., None, :]

    @property
    def mean_prediction(self):
        return self.predict(self.truth)

    @property
    def variance_at(self):
        return self.noise * (1 / len(self.truth) + self._shrink**2 @ self._directions.T**2)

    @property
    def bias2(self):
        return np.mean((self.mean_prediction - self.truth_new) ** 2, axis=1)

    @property
    def variance(self):
        return self.variance_at.mean(axis=1)

    @property
    def error(self):
        return self.bias2 + self.variance + self.noise

    @property
    def training_error(self):
        missed = np.mean((self.fitted(self.truth) - self.truth) ** 2, axis=1)
        left = len(self.truth) - 1 - (self._kept * (2 - self._kept)).sum(axis=1)  # tr (I - S)²
        return missed + self.noise * np.maximum(left, 0.0) / len(self.truth)

    @property
    def degrees_of_freedom(self):
        return 1 + self._kept.sum(axis=1)
