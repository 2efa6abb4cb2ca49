"""A bowl with ripples: many local minima, one global one, and everything about it is known."""

import numpy as np

from .._inputs import not_negative, numeric, positive
from ._base import Objective


class RippledBowl(Objective):
    """J(theta) = 1/2 |theta - c|^2 + height * sum_j (1 - cos(2 pi (theta_j - c_j) / period)), c the mean of the rows of X.

    The simplest objective with local minima (B 8.3.2.2): a bowl around c, and on it a ripple with a dip near each
    multiple of `period`. J(c) = 0 is the global minimum. A minibatch sees the bowl around the mean of its own rows,
    so its gradient is that of J plus noise, while the ripples stay where they are.

    X: shape (m, n); theta has n entries. height >= 0; 0 leaves the plain bowl. period > 0.
    `lipschitz` is the largest curvature, 1 + height (2 pi / period)^2: with a rate above 2 / lipschitz no dip can hold
    descent, not even the global one.

    >>> bowl = RippledBowl([[-1.0], [1.0]], height=1.0)
    >>> float(bowl.value([0.0])), float(bowl.gradient([0.5])[0])
    (0.0, 0.5000000000000008)
    """

    penalty = None

    def __init__(self, X, height=1.0, period=1.0):
        self.X = numeric("X", X, ndim=2, squared=True)
        self.y = np.zeros(len(self.X))  # it has no targets; `batch` takes rows of both
        self.height = not_negative("height", height, example="1.0")
        self.period = positive("period", period, example="1.0")
        self.center, self.penalised = self.X.mean(0), np.zeros(self.X.shape[1])
        self.lipschitz = 1 + self.height * (2 * np.pi / self.period) ** 2

    def loss(self, theta):
        wave = 2 * np.pi / self.period
        from_rows, phase = theta - self.X.mean(0), wave * (theta - self.center)
        value = from_rows**2 / 2 + self.height * (1 - np.cos(phase))
        return value.sum(-1), from_rows + self.height * wave * np.sin(phase)
