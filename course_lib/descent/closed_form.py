"""Gradient descent on a quadratic without the loop: any step of it from one eigendecomposition."""

import numpy as np

from .._inputs import positive


class ClosedFormPath:
    """The exact iterates of gradient descent, with or without momentum, on a quadratic objective.

    In the eigenvectors of the Hessian the coordinates do not see each other. Along an eigenvalue l, plain descent
    multiplies the distance to the minimum by (1 - eta l) at each step, so

        theta_t = theta_0 - V p_t(l) V' grad J(theta_0),    p_t(l) = (1 - (1 - eta l)^t) / l.

    After one eigendecomposition any rate, momentum and step costs microseconds. It converges where
    |1 - eta l| < 1 for every l > 0, that is for eta < 2 / l_max: the rule behind the slider of chapter 02.

    Raises TypeError if the objective is not quadratic.

    >>> from course_lib.objectives import MeanSquaredError
    >>> path = ClosedFormPath(MeanSquaredError([[1.0], [-1.0]], [2.0, -2.0]))
    >>> path.theta(np.arange(4), learning_rate=0.25)[:, 0]
    array([0.  , 1.  , 1.5 , 1.75])
    >>> path.largest_stable_rate
    1.0
    """

    def __init__(self, objective):
        if not getattr(objective, "is_quadratic", False):
            raise TypeError("objective must be quadratic: MeanSquaredError with no penalty or with L2. Use descend for others.")
        if np.ndim(getattr(objective.penalty, "alpha", 0.0)):
            raise ValueError("objective must have one alpha, a number; got an array of them. Make one path for each.")
        quadratic = objective.quadratic()
        self._gradient_at = objective.gradient
        self._eigenvalues, self._vectors = quadratic.eigenvalues, quadratic.eigenvectors
        self.minimizer, self._minimum = quadratic.minimizer, quadratic.minimum
        self._from_zero = -quadratic.slope @ self._vectors  # V' grad J(0)

    @property
    def largest_stable_rate(self):
        """2 / l_max for plain descent; with momentum mu the bound is (1 + mu) times as large."""
        return float(2 / self._eigenvalues[-1])

    def theta(self, steps, learning_rate, momentum=0.0, start=None):
        """Return theta after `steps`: shape S of steps and R of learning_rate give R + S + (n,).

        `steps` are whole numbers from 0 on; `momentum` is in [0, 1); `start` has shape (n,), zeros if None.
        Where descent diverges beyond the largest float, entries are infinite or NaN.
        """
        steps, rate = _whole_steps(steps), _rate(learning_rate)
        with np.errstate(over="ignore", invalid="ignore"):
            moved = self._moved(steps, rate, below_one("momentum", momentum)) * self._gradient(start)
            return (0.0 if start is None else start) - moved @ self._vectors.T

    def losses(self, steps, learning_rate, momentum=0.0, start=None):
        """Return the objective after `steps`, shape R + S."""
        steps, rate, eigenvalues = _whole_steps(steps), _rate(learning_rate), self._eigenvalues
        excess = self._excess(self._gradient(start))
        with np.errstate(over="ignore", invalid="ignore"):
            if below_one("momentum", momentum):
                left = 1 - eigenvalues * self._moved(steps, rate, momentum)
                return self._minimum + left**2 @ excess
            # (1 - rate l)^(2 t) for t = far + near, summed over l by one matrix product
            far, which, near = _far_and_near(steps)
            square = (1 - rate * eigenvalues) ** 2
            table = (excess * square**far) @ np.swapaxes(square**NEAR, -1, -2)
            return self._minimum + table[..., which, near]

    def _gradient(self, start):
        """Return V' grad J(start)."""
        return self._from_zero if start is None else self._gradient_at(start) @ self._vectors

    def _excess(self, gradient):
        """Return what each direction adds to the loss at the start, (V' grad J)^2 / 2 l."""
        tiny = self._eigenvalues[-1] * len(gradient) * np.finfo(float).eps
        return np.divide(gradient**2, 2 * self._eigenvalues, out=np.zeros(len(gradient)), where=self._eigenvalues > tiny)

    def _moved(self, steps, rate, momentum):
        """Return p_t(l), shape R + S + (n,): how far descent has gone per unit of starting gradient."""
        if momentum:
            rate = rate.reshape(rate.shape[:-2] + (1,) * (steps.ndim + 1))
            return _momentum_moves(rate, self._eigenvalues, momentum, steps[..., None])
        # first `far` steps, which leave the share 1 - l p of the gradient, then `near` more
        far, which, near = _far_and_near(steps)
        first, more = _plain_moves(rate, self._eigenvalues, far), _plain_moves(rate, self._eigenvalues, NEAR)
        left = 1 - self._eigenvalues * first
        return (first[..., :, None, :] + left[..., :, None, :] * more[..., None, :, :])[..., which, near, :]


NEAR = np.arange(32)[:, None]  # a power of 1000 numbers is 32 + 32 powers and products of them


def _far_and_near(steps):
    """Split steps into multiples of 32 and rest: the multiples that occur (Q, 1), which of them, and the rest."""
    block, near = np.divmod(steps, len(NEAR))
    blocks, which = np.unique(block, return_inverse=True)
    return len(NEAR) * blocks[:, None], which.reshape(steps.shape), near


def _plain_moves(rate, eigenvalues, steps):
    """(1 - rho^t) / l with rho = 1 - rate l, accurate for small l (expm1), sign-safe where rho <= 0, rate t at l = 0."""
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


def below_one(name, value):
    """Return `value`; raise unless it is a number in [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1); got {value!r}. Try 0.9.")
    return value
