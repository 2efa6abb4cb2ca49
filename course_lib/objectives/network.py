"""The network of source B's appendix: one hidden layer, one output."""

import numpy as np

from .._inputs import generator, numeric, one_of, two_classes, whole
from ._base import Objective
from .logistic import cross_entropy, sigmoid


class TwoLayerNetwork(Objective):
    """f(x; theta) = W2 sigma(W1 x + b1) + b2 (B appendix, formula 4) under the mean loss of its outputs.

    `loss="log"` reads the output as a logit (labels 0 and 1): the source feeds the bare output into the
    cross-entropy, which takes the log of negative numbers (B-App-4, B-App-6). `loss="squared"` fits numbers.
    theta is flat: W1 (hidden x d), b1 (hidden), W2 (hidden), b2 (1). Biases are never penalised.
    It is not convex: no Lipschitz constant, and where descent ends depends on the start, `initial(rng)`.

    X (m, d), y (m,). Raises as `LogisticLoss` (log) or `MeanSquaredError` (squared) does.
    """

    def __init__(self, X, y, hidden, *, loss="log", penalty=None):
        super().__init__(X, y, penalty)
        self.hidden, self.kind = whole("hidden", hidden), one_of("loss", loss, ("log", "squared"))
        if loss == "log":
            self.y = two_classes(self.y)
        one, zero = np.ones, np.zeros
        d = self.X.shape[1]
        self.penalised = np.concatenate([one(hidden * d), zero(hidden), one(hidden), zero(1)])

    def initial(self, rng):
        """Draw a start, shape (n_parameters,): weights uniform with variance 1 / inputs, biases zero.

        rng: a numpy Generator, or the seed of one.
        """
        d, h = self.X.shape[1], self.hidden
        width = np.sqrt(3 / np.concatenate([np.full(h * d + h, d), np.full(h + 1, h)]))
        return generator(rng, "rng").uniform(-width, width) * self.penalised

    def unpack(self, theta):
        """Return W1 (..., hidden, d), b1 (..., hidden), W2 (..., hidden), b2 (..., 1)."""
        d, h = self.X.shape[1], self.hidden
        W1, b1, W2, b2 = np.split(theta, [h * d, h * d + h, h * d + 2 * h], axis=-1)
        return W1.reshape(*theta.shape[:-1], h, d), b1, W2, b2

    def predict(self, theta, X):
        """Return the outputs f(x; theta) for the rows of X: theta (..., n) -> (..., rows)."""
        X, d = numeric("X", X, ndim=2), self.X.shape[1]
        if X.shape[1] != d:
            raise ValueError(f"X must have {d} columns, as in training; got shape {X.shape}.")
        return self._forward(self.checked(theta), X)[0]

    def _forward(self, theta, X):
        W1, b1, W2, b2 = self.unpack(theta)
        hidden = sigmoid(X @ np.swapaxes(W1, -1, -2) + b1[..., None, :])  # (..., rows, hidden)
        return (hidden @ W2[..., None])[..., 0] + b2, hidden

    def loss(self, theta):
        output, hidden = self._forward(theta, self.X)
        if self.kind == "log":
            losses, slope = cross_entropy(self.y, output), sigmoid(output) - self.y
        else:
            losses, slope = (output - self.y) ** 2, 2 * (output - self.y)
        return losses.mean(-1), self._backward(theta, hidden, slope / len(self.y))

    def _backward(self, theta, hidden, slope):
        """Carry d loss / d output, shape (..., m), back to a flat gradient by the chain rule."""
        _, _, W2, _ = self.unpack(theta)
        into_hidden = slope[..., None] * W2[..., None, :] * hidden * (1 - hidden)  # (..., m, hidden)
        W1 = np.swapaxes(into_hidden, -1, -2) @ self.X
        W2 = (slope[..., None, :] @ hidden)[..., 0, :]
        W1 = W1.reshape(*theta.shape[:-1], W2.shape[-1] * self.X.shape[1])
        return np.concatenate([W1, into_hidden.sum(-2), W2, slope.sum(-1, keepdims=True)], axis=-1)
