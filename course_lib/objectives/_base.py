"""What all objectives share: loss of the data + penalty, checks of theta, minibatches."""

import copy

import numpy as np

from .._inputs import matrix_and_target, real
from .penalties import L1, L2


class Objective:
    """L(theta) = loss of the data + alpha R(theta) (B appendix, formula 1).

    A subclass gives `loss(theta)`: value and gradient of the data's part. `penalised`, shape (n,), is one for the
    entries of theta that the penalty sees and zero for intercept and biases.
    """

    is_quadratic = False

    def __init__(self, X, y, penalty):
        if penalty is not None and not isinstance(penalty, (L1, L2)):
            raise TypeError(f"penalty must be None, L1(alpha) or L2(alpha); got {penalty!r}.")
        self.X, y = matrix_and_target(X, y)
        self.y, self.penalty = y.ravel(), penalty

    @property
    def n_parameters(self):
        return len(self.penalised)

    @property
    def is_proximal(self):
        """True where the penalty has a kink (L1): descent then takes proximal steps."""
        return isinstance(self.penalty, L1)

    def value(self, theta):
        """Return L(theta): theta (..., n) -> (...)."""
        return self.value_and_gradient(theta)[0]

    def gradient(self, theta):
        """Return the gradient of L: theta (..., n) -> (..., n). With L1, the shortest subgradient."""
        return self.value_and_gradient(theta)[1]

    def value_and_gradient(self, theta):
        """Return both; they share most of their work."""
        theta = self.checked(theta)
        return self.add_penalty(theta, *self.loss(theta))

    def add_penalty(self, theta, value, gradient):
        """Return value and gradient of the loss with those of the penalty added."""
        if self.penalty is None:
            return value, gradient
        weights = theta * self.penalised
        total = self.penalty.total_gradient(weights, gradient)
        if self.is_proximal:  # a zero weight and an intercept look alike to L1: keep the intercept's own gradient
            total = np.where(self.penalised == 1, total, gradient)
        return value + self.penalty.value(weights), total

    def proximal(self, theta, rate):
        """Return the penalty's proximal step from theta (L1 only); an intercept stays where it is."""
        return np.where(self.penalised == 1, self.penalty.proximal(theta, rate), theta)

    def checked(self, theta):
        """Return theta as floats; NaN and infinity pass, so that a path that diverges can be looked at."""
        theta = real("theta", theta)
        if theta.shape[-1:] != (self.n_parameters,):
            raise ValueError(f"theta must have {self.n_parameters} entries on its last axis; got shape {theta.shape}.")
        return theta

    def batch(self, rows):
        """Return the same objective on the given rows of the data only: what one minibatch step sees."""
        part = copy.copy(self)
        vars(part).pop("lipschitz", None)
        try:
            part.X, part.y = self.X[rows], self.y[rows]
        except IndexError:
            raise ValueError(f"rows must be row numbers from 0 to {len(self.y) - 1}, a mask or a slice; got {rows!r}.") from None
        if len(part.y) == 0:
            raise ValueError(f"rows must name at least one of the {len(self.y)} rows; got {rows!r}.")
        return part


class LinearObjective(Objective):
    """A model that is linear in theta; `intercept=True` puts a column of ones first, never penalised."""

    def __init__(self, X, y, *, penalty=None, intercept=False):
        super().__init__(X, y, penalty)
        self.intercept = bool(intercept)
        if intercept:
            self.X = np.column_stack([np.ones(len(self.X)), self.X])
        self.penalised = np.ones(self.X.shape[1])
        self.penalised[:1] -= self.intercept

    def _with_penalty_curvature(self, hessian):
        return hessian + self.penalty.hessian(self.penalised) if isinstance(self.penalty, L2) else hessian
