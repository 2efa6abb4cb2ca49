"""The term alpha R(theta) of the regularised loss (B appendix, formulas 1 and 2)."""

import numpy as np

from .._inputs import not_negative


class L1:
    """alpha ||theta||_1, the sum of absolute values: it sets small weights to exactly zero.

    `alpha` is a number, or an array of shape (k,) for a batch of k thetas. Raises ValueError if it is negative.

    >>> L1(0.5).value(np.array([3.0, -4.0]))
    np.float64(3.5)
    """

    def __init__(self, alpha):
        self.alpha = _checked(alpha)

    def value(self, theta):
        return self.alpha * np.abs(theta).sum(-1)

    def gradient(self, theta):
        """Return alpha sign(theta): the gradient where no entry is zero, one of many subgradients elsewhere."""
        return _column(self.alpha) * np.sign(theta)

    def total_gradient(self, theta, loss_gradient):
        """Return the shortest subgradient of loss + penalty: zero exactly where theta is the minimum.

        At an entry that is zero, the penalty can cancel up to alpha of the loss's gradient.
        """
        at_zero = soft_threshold(loss_gradient, _column(self.alpha))
        return np.where(theta == 0, at_zero, loss_gradient + self.gradient(theta))

    def proximal(self, theta, rate):
        """Return the minimiser over w of ||w - theta||^2 / (2 rate) + alpha ||w||_1; `rate` broadcasts to theta."""
        return soft_threshold(theta, _column(self.alpha) * rate)


class L2:
    """alpha ||theta||_2^2, the SQUARED length: its gradient is 2 alpha theta.

    The source writes the length without the square (B-App-2). That penalty has a gradient of length alpha
    everywhere, however small theta is; what everyone uses, and what shrinks weights in proportion, is the square.

    `alpha` is a number, or an array of shape (k,) for a batch of k thetas. Raises ValueError if it is negative.

    >>> L2(1.0).gradient(np.array([3.0, 4.0]))
    array([6., 8.])
    """

    def __init__(self, alpha):
        self.alpha = _checked(alpha)

    def value(self, theta):
        return self.alpha * (theta**2).sum(-1)

    def gradient(self, theta):
        return 2 * _column(self.alpha) * theta

    def total_gradient(self, theta, loss_gradient):
        return loss_gradient + self.gradient(theta)

    def hessian(self, penalised):
        """Return 2 alpha on the diagonal where `penalised` (n,) is one; shape (n, n) or (k, n, n)."""
        return 2 * _column(_column(self.alpha)) * np.diag(penalised)


def soft_threshold(values, width):
    """Move `values` towards zero by `width`, and to zero those that are nearer than that."""
    return values - np.clip(values, -width, width)


def _checked(alpha):
    alpha = not_negative("alpha", alpha, example="0.1")
    if np.ndim(alpha) > 1:
        raise ValueError(f"alpha must be a number or have shape (k,); got shape {alpha.shape}. Use .ravel().")
    return alpha


def _column(alpha):
    """Shape (k,) to (k, 1), so that it multiplies a batch of thetas; a number stays a number."""
    return np.expand_dims(alpha, -1) if np.ndim(alpha) else alpha
