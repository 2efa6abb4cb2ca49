"""Logistic regression: sigmoid and cross-entropy of source B's appendix, safe for any logit."""

import functools

import numpy as np

from .._inputs import real, two_classes
from ._base import LinearObjective


def sigmoid(z):
    """Return 1 / (1 + exp(-z)) (B appendix, formula 5) without overflow: exp is only taken of -|z|."""
    z = real("z", z)
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def cross_entropy(y, z):
    """Return -y log(p) - (1 - y) log(1 - p) with p = sigmoid(z) (B appendix, formula 6), from the logit z.

    The formula as written takes the log of a rounded probability: at z = 40 and y = 0 it is infinite, where the
    answer is 40. Here nothing overflows and nothing is clipped. Same as torch's
    `binary_cross_entropy_with_logits`.

    >>> cross_entropy(0.0, np.array([40.0, -40.0, 1000.0]))
    array([4.00000000e+01, 4.24835426e-18, 1.00000000e+03])
    """
    wrong_way = (1 - 2 * real("y", y)) * real("z", z)  # how far the logit points away from a label of 0 or 1
    return np.maximum(wrong_way, 0.0) + np.log1p(np.exp(-np.abs(wrong_way)))


class LogisticLoss(LinearObjective):
    """Mean cross-entropy of sigmoid(theta' x) against labels 0 and 1.

    X (m, n), y (m,) of zeros and ones. Raises ValueError for other labels or one class only, and as
    `MeanSquaredError` does.

    >>> J = LogisticLoss([[1.0], [-1.0]], [1, 0])
    >>> J.value(np.zeros(1)), J.gradient(np.zeros(1))
    (np.float64(0.6931471805599453), array([-0.5]))
    """

    def __init__(self, X, y, *, penalty=None, intercept=False):
        super().__init__(X, y, penalty=penalty, intercept=intercept)
        self.y = two_classes(self.y)

    def loss(self, theta):
        z = theta @ self.X.T
        m = len(self.y)
        return cross_entropy(self.y, z).sum(-1) / m, (sigmoid(z) - self.y) @ self.X / m

    def hessian(self, theta):
        """Return X' diag(p (1 - p)) X / m (+ 2 alpha for L2): theta (..., n) -> (..., n, n)."""
        p = sigmoid(self.checked(theta) @ self.X.T)
        weighted = (p * (1 - p))[..., None] * self.X
        return self._with_penalty_curvature(np.swapaxes(weighted, -1, -2) @ self.X / len(self.y))

    @functools.cached_property
    def lipschitz(self):
        """A bound on the curvature at every theta, since p (1 - p) <= 1/4: rates below 2 / lipschitz are safe."""
        bound = self._with_penalty_curvature(self.X.T @ self.X / (4 * len(self.y)))
        return np.linalg.eigvalsh(bound)[..., -1]
