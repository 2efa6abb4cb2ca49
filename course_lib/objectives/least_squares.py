"""Linear regression: the objective of source A, and its exact second-order form."""

import functools

import numpy as np

from ._base import LinearObjective, Objective
from .penalties import L1

EPS, TINY = np.finfo(float).eps, np.finfo(float).tiny


class MeanSquaredError(LinearObjective):
    """J(theta) = 1/m sum_i (y_i - theta' x_i)^2, with gradient 2/m X'(X theta - y) (A 8.3.3.1, A 8.3.3.2).

    Source A contradicts itself about the factor: its formula has 2/m, its listing computes 1/m. The formula is
    right for this J; the listing's gradient is that of J/2. Both have the same minimum, but every learning rate
    means half as much in the listing: its largest stable rate is twice ours, and it takes about twice the steps.
    The course uses the formula everywhere.

    X (m, n), y (m,) or (m, 1). Raises ValueError or TypeError, naming the argument, for NaN or infinite values,
    shapes that do not fit, empty data, or values that are not numbers.

    >>> J = MeanSquaredError([[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0])
    >>> J.value(np.zeros(2)), J.gradient(np.zeros(2))
    (np.float64(2.5), array([ -7., -10.]))
    """

    @property
    def is_quadratic(self):
        return not isinstance(self.penalty, L1)

    def loss(self, theta):
        residual = theta @ self.X.T - self.y  # (..., m)
        m = len(self.y)
        return np.vecdot(residual, residual) / m, (2 / m) * (residual @ self.X)

    def hessian(self, theta=None):
        """Return 2/m X'X (+ 2 alpha for L2), the same at every theta: (n, n), or (k, n, n) for k alphas."""
        return self._with_penalty_curvature((2 / len(self.y)) * (self.X.T @ self.X))

    @functools.cached_property
    def lipschitz(self):
        """The largest curvature: gradient descent converges for every rate below 2 / lipschitz, and for none above."""
        return np.linalg.eigvalsh(self.hessian())[..., -1]

    def quadratic(self):
        """Return the same objective as a `Quadratic`: steps then cost n x n, however many rows there are."""
        return Quadratic(self)


class Quadratic(Objective):
    """A least-squares objective by its Hessian H: J(theta) = J* + 1/2 (theta - theta*)' H (theta - theta*).

    Made once with one pass over the data; equal to the objective that it stands for up to rounding. Written around
    the minimum, because theta' H theta / 2 - slope' theta + y'y / m loses its digits where the fit is nearly perfect.
    An L1 penalty stays outside H.
    """

    is_quadratic = True

    def __init__(self, objective):
        m = len(objective.y)
        self.penalised = objective.penalised
        self.penalty = objective.penalty if objective.is_proximal else None
        self.H = objective.hessian()
        self.slope = (2 / m) * (objective.X.T @ objective.y)  # gradient = H theta - slope
        eigenvalues, self.eigenvectors = np.linalg.eigh(self.H)
        self.eigenvalues = np.maximum(eigenvalues, 0.0)  # rounding can leave -1e-17
        curved = eigenvalues > np.maximum(eigenvalues[..., -1:] * (len(self.slope) * EPS), TINY)
        # 1 / eigenvalue, and 0 for a direction without curvature (a duplicated column): theta* is the shortest
        self.inverse = curved / np.where(curved, eigenvalues, 1.0)
        self.slope_along = self.slope @ self.eigenvectors
        at_zero = np.vecdot(objective.y, objective.y) / m
        self.minimum = at_zero - 0.5 * np.vecdot(self.inverse, self.slope_along**2)
        if (self.minimum < 1e-4 * at_zero).any():  # nearly perfect: the difference has lost its digits
            self.minimum = self._loss_at_minimizer(objective)

    @functools.cached_property
    def minimizer(self):
        """theta*, shape (n,) or (k, n)."""
        return (self.eigenvectors @ (self.inverse * self.slope_along)[..., None])[..., 0]

    def _loss_at_minimizer(self, objective):
        value, gradient = objective.loss(self.minimizer)
        return value if objective.is_proximal else objective.add_penalty(self.minimizer, value, gradient)[0]

    def loss(self, theta):
        one_hessian = self.H.ndim == 2
        product = theta @ self.H if one_hessian else (theta[..., None, :] @ self.H)[..., 0, :]
        gradient = product - self.slope
        return self.minimum + 0.5 * np.vecdot(theta - self.minimizer, gradient), gradient
