"""The function of source A, under its name and signature, without its silent NaN."""

import numpy as np

from .._inputs import positive
from ..objectives import MeanSquaredError
from .errors import DivergenceError
from .loop import descend


def gradient_descent(X, y, learning_rate=0.01, num_iterations=1000):
    """Fit linear regression by gradient descent from zero and return theta (A 8.4).

    X (m, n); y (m,) or (m, 1), and theta comes back as (n,) or (n, 1). No intercept is added: give X a column of
    ones. The gradient is the formula's, 2/m X'(X theta - y); see `MeanSquaredError` for the listing's 1/m.

    Raises DivergenceError, which names the step and the largest stable rate, where the loss overflows or rises:
    the source returns NaN. Raises ValueError or TypeError for bad data or a rate that is not above 0.

    >>> gradient_descent([[1.0], [2.0]], [2.0, 4.0], learning_rate=0.1)
    array([2.])
    """
    objective = MeanSquaredError(X, y)
    rate = positive("learning_rate", learning_rate, example="0.01", ndim=0)
    path = descend(objective, np.zeros(objective.n_parameters), rate, num_iterations=num_iterations)
    lowest = path.losses.argmin()
    rises = path.losses[-1] > path.losses[lowest] + 1e-9 * path.losses[0]  # with a stable rate no step goes up
    if path.diverged or rises:
        step = path.steps if path.diverged else lowest
        raise DivergenceError(int(step) + 1, rate, float(2 / objective.lipschitz))
    return path.theta.reshape(-1, *np.shape(y)[1:])
