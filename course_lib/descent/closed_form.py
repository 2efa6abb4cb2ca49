"""Gradient descent on a quadratic without the loop: any step of it from one eigendecomposition."""

import numpy as np

from .._inputs import fraction, numeric, positive
from ..objectives._base import Objective


class ClosedFormPath:
    """The exact iterates of gradient descent, with or without momentum, on a quadratic objective.

    In the eigenvectors V of the Hessian the coordinates do not see each other. Along an eigenvalue l, each plain
    step multiplies the gradient by (1 - eta l), so after t steps

        theta_t = theta_0 - V p_t(l) V' grad J(theta_0),    p_t(l) = (1 - (1 - eta l)^t) / l.

    After one eigendecomposition any rate, momentum and step costs microseconds. It converges where
    |1 - eta l| < 1 for every l > 0, that is for eta < 2 / l_max: the rule behind the slider of chapter 02.

    In both methods `steps` are whole numbers from 0 on, of any shape S; `learning_rate` is a number or an array of
    any shape R; `momentum` is in [0, 1); `start` has shape (n,) and is zero if None. Where descent leaves the range
    of floats, results are infinite or NaN. Raises TypeError if the objective is not quadratic.

    >>> from course_lib.objectives import MeanSquaredError
    >>> path = ClosedFormPath(MeanSquaredError([[1.0], [-1.0]], [2.0, -2.0]))
    >>> path.theta(np.arange(4), learning_rate=0.25)[:, 0]
    array([0.  , 1.  , 1.5 , 1.75])
    >>> path.largest_stable_rate
    1.0
    """

    def __init__(self, objective):
        if not isinstance(objective, Objective) or not objective.is_quadratic:
            raise TypeError("objective must be quadratic: MeanSquaredError without penalty or with L2. Otherwise use descend.")
        if np.ndim(getattr(objective.penalty, "alpha", 0.0)):
            raise ValueError("objective must have one alpha, a number; got an array of them. Make one path for each.")
        self._quadratic = objective.quadratic()

    @property
    def minimizer(self):
        """The theta of least loss, (n,); the shortest one where there are many."""
        return self._quadratic.minimizer

    @property
    def largest_stable_rate(self):
        """2 / l_max for plain descent; with momentum mu the bound is (1 + mu) times as large. Infinite if X is zero."""
        largest = float(self._quadratic.eigenvalues[-1])
        return 2 / largest if largest else np.inf

    def theta(self, steps, learning_rate, momentum=0.0, start=None):
        """Return theta after `steps`, shape R + S + (n,)."""
        slopes = self._slopes(start)
        with np.errstate(over="ignore", invalid="ignore"):
            moved = self._moved(_whole_steps(steps), _rate(learning_rate), momentum)
            moved = np.where(slopes == 0, 0.0, moved * slopes)
            return (0.0 if start is None else start) - moved @ self._quadratic.eigenvectors.T

    def losses(self, steps, learning_rate, momentum=0.0, start=None):
        """Return the objective after `steps`, shape R + S."""
        steps, rate, eigenvalues = _whole_steps(steps), _rate(learning_rate), self._quadratic.eigenvalues
        excess = 0.5 * self._quadratic.inverse * self._slopes(start) ** 2  # over the minimum, at the start
        with np.errstate(over="ignore", invalid="ignore"):
            if momentum:
                left = np.where(excess > 0, 1 - eigenvalues * self._moved(steps, rate, momentum), 0.0)
                return self._quadratic.minimum + left**2 @ excess
            # (1 - rate l)^(2 t) with t = far + near: one matrix product sums over l for all t
            far, index = _far_and_near(steps)
            log = (excess > 0) * np.log(np.maximum((1 - rate * eigenvalues) ** 2, 1e-120))
            table = (excess * _power(log, far)) @ _power(log, NEAR).mT
            table += self._quadratic.minimum
            return table.reshape(*table.shape[:-2], -1).take(index, axis=-1)

    def _slopes(self, start):
        """Return the gradient at the start along each eigenvector, (n,)."""
        if start is None:
            return -self._quadratic.slope_along
        start, n = numeric("start", start, ndim=1), self._quadratic.n_parameters
        if len(start) != n:
            raise ValueError(f"start must have shape ({n},); got {start.shape}. Try np.zeros({n}).")
        return self._quadratic.gradient(start) @ self._quadratic.eigenvectors

    def _moved(self, steps, rate, momentum):
        """Return p_t(l), shape R + S + (n,): how far descent has gone per unit of slope."""
        eigenvalues = self._quadratic.eigenvalues
        if fraction("momentum", momentum, example=0.9, zero=True):
            rate = rate.reshape(rate.shape[:-2] + (1,) * (steps.ndim + 1))
            return _momentum_moves(rate, eigenvalues, momentum, steps[..., None])
        # first `far` steps, which leave the share 1 - l p of the slope, then `near` more
        far, index = _far_and_near(steps)
        first, more = _plain_moves(rate, eigenvalues, far), _plain_moves(rate, eigenvalues, NEAR)
        left = 1 - eigenvalues * first
        table = first[..., :, None, :] + left[..., :, None, :] * more[..., None, :, :]
        return table.reshape(*table.shape[:-3], -1, table.shape[-1]).take(index, axis=-2)


NEAR = np.arange(32)[:, None]  # 1,000 powers are 32 + 32 powers and their products


def _far_and_near(steps):
    """Split steps into multiples of 32 and a rest: return the multiples needed, (Q, 1), and where each step stands
    in a table with a row for each of them and 32 columns."""
    width, last = len(NEAR), steps.max(initial=0)
    if last <= width * steps.size:  # no large gaps: all multiples, and step t stands at place t
        return np.arange(0, last + 1, width)[:, None], steps
    rows, row = np.unique(steps // width, return_inverse=True)
    return width * rows[:, None], width * row.reshape(steps.shape) + steps % width


def _power(log, exponent):
    """exp(log * exponent), but never below 1e-130: arithmetic near the smallest float is 30 times slower."""
    return np.exp(np.maximum(log * exponent, -300.0))


def _plain_moves(rate, eigenvalues, steps):
    """(1 - rho^t) / l with rho = 1 - rate l: by expm1 for small l, by a signed power elsewhere; rate t at l = 0."""
    shrink = 1 - rate * eigenvalues
    small = -np.expm1(steps * np.log1p(-np.minimum(rate * eigenvalues, 0.5)))
    left = np.where(shrink > 0.5, small, 1 - shrink**steps)
    return np.where(eigenvalues > 0, left / np.where(eigenvalues > 0, eigenvalues, 1.0), rate * steps)


def _momentum_moves(rate, eigenvalues, momentum, steps):
    """The heavy ball p_{t+1} = p_t + mu (p_t - p_{t-1}) + rate (1 - l p_t), p_0 = p_{-1} = 0, after t steps.

    One step is an affine map of (p_t, p_{t-1}). Squaring the map again and again gives its powers 1, 2, 4, ...;
    the binary digits of t say which of them to apply. No root is taken, so nothing breaks where roots meet.
    """
    a, b, c, d = 1 + momentum - rate * eigenvalues, -momentum, 1.0, 0.0
    e, f = rate, 0.0  # (p, q) -> (a p + b q + e, c p + d q + f)
    p = q = np.zeros(np.broadcast_shapes(np.shape(a), steps.shape))
    while steps.any():
        odd = steps & 1 == 1
        p, q = np.where(odd, a * p + b * q + e, p), np.where(odd, c * p + d * q + f, q)
        e, f = a * e + b * f + e, c * e + d * f + f
        a, b, c, d = a * a + b * c, b * (a + d), c * (a + d), b * c + d * d
        steps = steps >> 1
    return p


def _whole_steps(steps):
    steps = np.asarray(steps)
    if steps.dtype.kind not in "iu":
        raise TypeError(f"steps must be whole numbers; got dtype {steps.dtype}. Use np.arange(1001).")
    if steps.size and steps.min() < 0:
        raise ValueError(f"steps must be 0 or above; got {steps.min()}.")
    return steps.astype(np.int64, copy=False)


def _rate(learning_rate):
    """Shape R to R + (1, 1): a step and an eigenvalue axis follow."""
    return np.asarray(positive("learning_rate", learning_rate, example="0.1"))[..., None, None]

