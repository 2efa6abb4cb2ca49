"""Chapter 10: live figure of what flows through a deep network (B 8.3.2.6).

    from course_lib.labs.convergence import SignalLab

    SignalLab()       # depth, activation, start, normalisation, residual: where signal and gradient fade or burst
"""

import functools

import ipywidgets
import numpy as np
from scipy.special import expit, ndtr

from course_lib.datasets import make_mnist1d
from course_lib.labs import figures
from course_lib.labs.engine import Lab

WIDTH, ROWS, DEEPEST = 40, 32, 30  # units of every layer (the points of a wave), waves of the batch, layers
STEPS, RATE, LONGEST = 3, 0.3, 1.0  # of descent between the two looks, its gradient clipped to this norm
HEALTHY = 30.0  # from the first layer to the last, signal and gradient may change by this factor
EPSILON = 1e-5  # under the root of a normalisation, as in PyTorch
SHOWN = -12, 8  # exponents


def sigmoid(z):
    value = expit(z)
    return value, value * (1 - value)


def tanh(z):
    value = np.tanh(z)
    return value, 1 - value * value


def relu(z):
    return np.maximum(z, 0), z > 0


def gelu(z):
    share = ndtr(z)
    return z * share, share + z * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)


ACTIVATIONS = {"sigmoid": sigmoid, "tanh": tanh, "ReLU": relu, "GELU": gelu}  # each returns value and slope
AXES = {"none": None, "batch": 0, "layer": 1}  # over what a normalisation takes its mean: the rows, or the units of a row


def network_gradients(weights, head, X, y, activation="ReLU", normalisation="none", residual=False):
    """Return loss, signals, and the gradients of signals, weights and head, by one pass forwards and one backwards.

    Layer l is h -> f(norm(h W_l)), plus h if residual; W_l is weights[l], of shape (n, n), weights (L, n, n). The
    head (n, 10) reads the classes y (m,) from the last signal; the loss is their mean cross-entropy. No biases, and a
    normalisation without scale and shift (gamma 1, beta 0). X is (m, n); signals and their gradients are (L + 1, m, n),
    the first those of X.
    """
    f, axis = ACTIVATIONS[activation], AXES[normalisation]
    signals, slopes, scales, inner = [X], [], [], np.empty((len(weights), *X.shape))
    for z, W in zip(inner, weights):
        np.matmul(signals[-1], W, out=z)
        if axis is not None:
            z -= _mean(z, axis)
            scales.append(1 / np.sqrt(_mean(z * z, axis) + EPSILON))
            z *= scales[-1]
        value, slope = f(z)
        signals.append(value + signals[-1] if residual else value)
        slopes.append(slope)
    loss, error = _cross_entropy(signals[-1] @ head, y)
    back = [error @ head.T]
    for l in reversed(range(len(weights))):
        z, d = inner[l], back[-1] * slopes[l]
        if axis is not None:
            d = (d - _mean(d, axis) - z * _mean(d * z, axis)) * scales[l]
        back.append(d @ weights[l].T + back[-1] if residual else d @ weights[l].T)
        inner[l] = d  # z is not needed any more
    signals = np.stack(signals)
    return loss, signals, np.stack(back[::-1]), np.swapaxes(signals[:-1], 1, 2) @ inner, signals[-1].T @ error


def _mean(values, axis):
    return np.add.reduce(values, axis, keepdims=True) / values.shape[axis]  # np.mean takes three times as long


def _cross_entropy(output, y):
    """Return the mean cross-entropy and its gradient by the output (m, 10)."""
    output = output - output.max(1, keepdims=True)
    chances = np.exp(output)
    total = chances.sum(1)
    rows = np.arange(len(y))
    loss = np.mean(np.log(total) - output[rows, y])
    chances /= total[:, None]
    chances[rows, y] -= 1
    return loss, chances / len(y)


@functools.cache
def start_of(depth):
    """Return the batch X, y, weights of He's width for the depth - 1 hidden layers, and a head of width 1/sqrt(n)."""
    X, y = make_mnist1d(ROWS, random_state=0)
    rng = np.random.default_rng(0)
    weights = rng.normal(scale=np.sqrt(2 / WIDTH), size=(DEEPEST - 1, WIDTH, WIDTH))[: depth - 1]
    return X, y, weights, rng.normal(scale=np.sqrt(1 / WIDTH), size=(WIDTH, 10))


def signal_flow(depth=10, activation="sigmoid", start=1.0, normalisation="none", residual=False):
    """Look at a network of `depth` layers at its start and after three steps of descent on one batch of 32 waves.

    start: standard deviation of the weights, in units of He's sqrt(2 / n). Returned, each as a pair (at the start,
    after the steps): `signal` (depth,), how far rows differ in the signal that enters each layer: the standard
    deviation over rows, as root mean square over units (what all rows share says nothing about a row); `gradient`
    (depth,), norm of the loss's gradient by the same signals; `weights` (depth,), norm of its gradient by each layer's
    weights; `losses`. And `forwards` and `backwards`, the factors by which a layer of the start multiplies signal and
    gradient on their way.
    """
    X, y, weights, head = start_of(depth)
    weights, looks = start * weights, []
    for _ in range(STEPS + 1):
        loss, signals, back, by_weights, by_head = network_gradients(weights, head, X, y, activation, normalisation, residual)
        learned = np.append(_norms(by_weights), np.linalg.norm(by_head))
        looks.append({"signal": _norms(signals.std(1)) / np.sqrt(WIDTH), "gradient": _norms(back), "weights": learned, "losses": loss})
        rate = RATE * min(1, LONGEST / np.linalg.norm(learned))
        weights, head = weights - rate * by_weights, head - rate * by_head
    found = {name: (looks[0][name], looks[-1][name]) for name in looks[0]}
    signal, gradient = found["signal"][0], found["gradient"][0]
    return found | {
        "forwards": float(signal[-1] / signal[0]) ** (1 / (depth - 1)),
        "backwards": float(gradient[0] / gradient[-1]) ** (1 / (depth - 1)),
    }


def _norms(stack):
    """Return the norm of each of the arrays in a stack of them."""
    flat = stack.reshape(len(stack), -1)
    return np.sqrt(np.einsum("ij,ij->i", flat, flat))


def verdict(arrays):
    """Return "fades", "is healthy" or "bursts": what happens to the gradient from the last layer back to the first."""
    gradient = arrays["gradient"][0]
    if gradient[0] * HEALTHY < gradient[-1]:
        return "fades"
    return "bursts" if gradient[0] > gradient[-1] * HEALTHY else "is healthy"


class SignalLab(Lab):
    """What flows through a deep network, live: depth, activation, width of the start, normalisation, residual connections.

    >>> lab = SignalLab()                               # ten layers of sigmoid
    >>> verdict(lab.arrays), round(lab.arrays["backwards"], 2)
    ('fades', 0.31)
    >>> lab.controls["activation"].value = "ReLU"
    >>> verdict(lab.arrays), round(lab.arrays["backwards"], 2)
    ('is healthy', 0.99)
    >>> lab.controls["residual"].value = True           # every layer adds to its input in full
    >>> verdict(lab.arrays), round(lab.arrays["backwards"], 2)
    ('bursts', 1.58)
    """

    title = "What flows through a deep network, layer by layer: how far rows differ in the signal, the gradient on its way back, and the gradient of each layer's weights, at the start and after three steps of descent"
    width, height = 8.4, 3.5

    def make_controls(self):
        return {
            "depth": ipywidgets.IntSlider(10, min=2, max=DEEPEST, description="layers"),
            "activation": ipywidgets.Dropdown(options=list(ACTIVATIONS), description="activation"),
            "start": ipywidgets.FloatLogSlider(1.0, base=2, min=-3, max=3, step=0.1, readout_format=".2f", description="start ÷ He's width"),
            "normalisation": ipywidgets.Dropdown(options=list(AXES), description="normalisation"),
            "residual": ipywidgets.Checkbox(False, description="residual connections"),
        }

    compute = staticmethod(signal_flow)

    def build(self, fig):
        """The axes hold exponents: one with a logarithmic scale would take every point's logarithm at each event."""
        axes = fig.subplots(1, 3, sharey=True)
        titles = "Signal, input = 1  →", "←  Gradient, last layer = 1", "Gradient of the weights"
        for ax, title in zip(axes, titles):
            ax.set(xlim=(0, DEEPEST + 1), ylim=SHOWN, xlabel="layer", title=title, xticks=[1, 10, 20, 30])
        axes[0].set_yticks([-12, -8, -4, 0, 4, 8], ["10⁻¹²", "10⁻⁸", "10⁻⁴", "1", "10⁴", "10⁸"])
        for ax in axes[:2]:
            ax.axhspan(-np.log10(HEALTHY), np.log10(HEALTHY), color="#e3e9f0")
            ax.text(DEEPEST, np.log10(HEALTHY) + 0.2, "healthy", ha="right", fontsize=9)
        after = {"linestyle": (0, (2, 2)), "marker": "s", "fillstyle": "none", "color": figures.ORANGE, "markersize": 7}
        start = {"linestyle": "-", "marker": "o", "color": figures.BLUE, "markersize": 3.5, "linewidth": 1.4}
        lines = [[self.live(ax.plot([], [], clip_on=False, **style)[0]) for style in (after, start)] for ax in axes]
        self.lines = dict(zip(("signal", "gradient", "weights"), lines))
        legend = [axes[2].plot([], [], label=label, **style)[0] for style, label in ((start, "at the start"), (after, f"after {STEPS} steps"))]
        axes[2].legend(handles=legend, loc="upper right")

    def draw(self, arrays):
        for name, lines in self.lines.items():
            whole = {"signal": 0, "gradient": -1}.get(name)  # the layer that counts as 1
            for line, values in zip(lines, reversed(arrays[name])):
                line.set_data(np.arange(1, len(values) + 1), exponents(values if whole is None else values / values[whole]))

    def describe(self, values, arrays):
        gradient, losses = arrays["gradient"][0], arrays["losses"]
        return (
            f"The gradient <b>{verdict(arrays)}</b>: on its way back a layer multiplies it by <b>{arrays['backwards']:.2f}</b>, so the first of "
            f"{values['depth']} layers gets {_times(gradient[0] / gradient[-1])} what the last gets. Forwards, a layer multiplies the differences "
            f"between rows by <b>{arrays['forwards']:.2f}</b>. "
            f"Three steps of descent take the loss from {losses[0]:.3g} to {losses[1]:.3g}; guessing has {np.log(10):.2f}."
        )


def exponents(values):
    """Return log10 of values, those beyond the picture put on its border."""
    return np.clip(np.log10(values), *SHOWN)


def _times(ratio):
    if 0.1 < ratio < 10:
        return f"{ratio:.2f} times"
    return f"{float(f'{ratio:.1e}'):,.0f} times" if ratio > 1 else f"1/{float(f'{1 / ratio:.1e}'):,.0f} of"
