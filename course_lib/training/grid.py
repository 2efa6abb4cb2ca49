"""A whole grid of small networks, trained together as stacked matrices: fast enough for sliders over their settings."""

import math
from collections import OrderedDict
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch.nn import functional as F

from .._inputs import fraction, not_negative, numeric, one_of, positive, whole

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh}
NUMBERS_AT_ONCE = 2**18  # activations held while losses are measured: 1 MB, which stays in the processor's cache
_REMEMBERED = OrderedDict()  # grids trained last, by the hash of what they were trained on
_REMEMBER = 8


@dataclass(frozen=True, eq=False)
class Grid:
    """What `train_grid` found. Axes of every array: learning rate, weight decay, dropout, then checkpoint.

    learning_rates, weight_decays, dropouts : the settings, one axis each.
    steps : number of steps done at each checkpoint, from 0 on, shape (n_checkpoints,).
    train_losses, validation_losses : mean loss without penalty and without dropout, shape (n_lr, n_wd, n_dropout, n_checkpoints).
        inf or NaN where a configuration has diverged. `validation_losses` is None without validation data.
    train_accuracies, validation_accuracies : share of right classes, same shape, NaN where diverged; None for a regression.
    finished : False if `stop` ended the training early; the arrays then end at the last checkpoint.
    """

    learning_rates: np.ndarray
    weight_decays: np.ndarray
    dropouts: np.ndarray
    steps: np.ndarray
    train_losses: np.ndarray
    train_accuracies: np.ndarray | None
    validation_losses: np.ndarray | None
    validation_accuracies: np.ndarray | None
    finished: bool
    activation: str = field(repr=False)
    parameters: list = field(repr=False)

    @property
    def best(self):
        """Indices (i, j, k) of the lowest last loss: on the validation data where there are any."""
        losses = (self.train_losses if self.validation_losses is None else self.validation_losses)[..., -1]
        lowest = np.where(np.isfinite(losses), losses, np.inf).argmin()
        return tuple(int(index) for index in np.unravel_index(lowest, losses.shape))

    def weights(self, i, j=0, k=0):
        """Trained weights of one configuration, layer after layer: [(W, b), ...], W of shape (n_out, n_in), b (n_out,)."""
        layers = zip(self.parameters[::2], self.parameters[1::2], strict=True)
        return [(W[i, j, k], b[i, j, k, :, 0]) for W, b in layers]

    def output(self, X, i, j=0, k=0):
        """What the last layer of one configuration says of X (m, n): logits (m, n_classes), or values (m, 1)."""
        X = numeric("X", X, ndim=2)
        n = self.parameters[0].shape[-1]
        if X.shape[1] != n:
            raise ValueError(f"X must have {n} columns, as in training; got shape {X.shape}.")
        stacked = [torch.from_numpy(array[i, j, k][None]) for array in self.parameters]
        return _forward(stacked, torch.as_tensor(X.T, dtype=stacked[0].dtype), ACTIVATIONS[self.activation])[0].numpy().T

    def predict_proba(self, X, i, j=0, k=0):
        """Probability of each class for X (m, n), shape (m, n_classes), by one configuration of a classification."""
        if self.train_accuracies is None:
            raise ValueError("y held real numbers, so there are no classes; use predict(X, i, j, k).")
        return torch.from_numpy(self.output(X, i, j, k)).softmax(-1).numpy()

    def predict(self, X, i, j=0, k=0):
        """Class (whole number) or value of each row of X (m, n), shape (m,), by configuration i, j, k."""
        output = self.output(X, i, j, k)
        return output[:, 0] if self.train_accuracies is None else output.argmax(-1)


def train_grid(X, y, *, hidden=(16,), learning_rates, weight_decays=(0.0,), dropouts=(0.0,), num_epochs=None, num_steps=None,
               batch_size=64, validation=None, random_state=0, momentum=0.9, activation="relu", num_checkpoints=41,
               dtype="float32", progress=None, stop=None):  # fmt: skip
    """Train one small network for every combination of learning rate, weight decay and dropout, all at once: a `Grid`.

    The weights of all networks are stacked, so that each layer is one `baddbmm` and a step costs little more than that
    of one network. All start from the same weights, see the same batches and (at equal rates) the same dropout
    masks: an entry of the grid is what the same network gets when it is trained alone, as by `fit` with `torch.optim.SGD`
    (weight decay on biases too) after `torch.manual_seed(random_state)`. A configuration that diverges becomes inf or
    NaN and harms no other.

    X, y: (m, n) and (m,). Whole numbers in y are classes from 0 on (cross-entropy), real numbers a regression (squared error).
    hidden: width of each hidden layer; () is a linear model.   activation: "relu" or "tanh".
    learning_rates, weight_decays, dropouts: one number or a list of them.
    num_epochs or num_steps: how long; give one of the two.   batch_size: rows a step; the last of an epoch may be smaller.
    validation: (X, y) or None.   random_state: a whole number; draws start, batches and masks.
    num_checkpoints: losses and accuracies on all rows are kept this often, from before the first step to after the last.
    dtype: "float32" or "float64". In float32 the configurations at the edge of divergence depend on the machine's rounding.
    progress: called as progress(steps_done, num_steps) at each checkpoint.   stop: called before each step; training
        ends once it returns true. With both, a lab trains in a thread: `stop=event.is_set` of a `threading.Event`.

    The last eight finished grids are remembered: the same call again answers at once.
    Raises ValueError or TypeError for bad arguments, by name.

    >>> from course_lib.datasets import load_iris
    >>> X, y = load_iris()
    >>> grid = train_grid(X / 8, y, learning_rates=[0.01, 0.1], weight_decays=[0, 1e-3, 1e-2], num_epochs=5, num_checkpoints=6)
    >>> grid.train_losses.shape, grid.steps.tolist()
    ((2, 3, 1, 6), [0, 3, 6, 9, 12, 15])
    """
    import joblib

    one_of("dtype", dtype, ("float32", "float64"))
    one_of("activation", activation, tuple(ACTIVATIONS))
    axes = {
        "learning_rates": np.atleast_1d(positive("learning_rates", learning_rates, example="[0.01, 0.1]")),
        "weight_decays": np.atleast_1d(not_negative("weight_decays", weight_decays, example="[0, 1e-3]")),
        "dropouts": np.array([fraction("dropouts", p, example="[0, 0.2]", zero=True) for p in np.atleast_1d(dropouts)]),
    }
    for name, values in axes.items():
        if values.ndim != 1 or len(values) == 0:
            raise ValueError(f"{name} must be one number or a list of them; got shape {values.shape}.")
    data = [_rows("X", "y", X, y)]
    if validation is not None:
        data.append(_rows("validation[0]", "validation[1]", *_pair(validation), like=data[0]))
    if not isinstance(hidden, (tuple, list)):
        raise TypeError(f"hidden must be a list of widths; got {hidden!r}. Try (16,).")
    hidden = [whole("hidden", width) for width in hidden]
    batch_size, num_steps = whole("batch_size", batch_size), _length(num_epochs, num_steps, len(data[0][0]), batch_size)
    marks = np.unique(np.linspace(0, num_steps, whole("num_checkpoints", num_checkpoints, minimum=2)).round().astype(int))
    settings = dict(hidden=hidden, marks=marks, batch_size=batch_size, random_state=whole("random_state", random_state, minimum=0),
                    momentum=fraction("momentum", momentum, example=0.9, zero=True), activation=activation, dtype=dtype)  # fmt: skip
    key = joblib.hash((axes, data, settings))
    if key not in _REMEMBERED:
        grid = _train(axes, data, progress, stop, **settings)
        if not grid.finished:
            return grid
        _REMEMBERED[key] = grid
        if len(_REMEMBERED) > _REMEMBER:
            _REMEMBERED.popitem(last=False)
    return _REMEMBERED[key]


def _train(axes, data, progress, stop, *, hidden, marks, batch_size, random_state, momentum, activation, dtype):
    """Set up all networks, train them, and put what was measured into a Grid."""
    dtype, shape = getattr(torch, dtype), tuple(len(values) for values in axes.values())
    rates, decays, _ = (torch.from_numpy(a.reshape(-1, 1, 1)).to(dtype) for a in np.meshgrid(*axes.values(), indexing="ij"))
    classes = data[0][1].dtype.kind == "i"
    # Rows stand along the last axis, features and units before it: sums over ten classes are then sums of ten long rows.
    data = [(torch.from_numpy(X.T).to(dtype).contiguous(), torch.from_numpy(y).to(torch.int64 if classes else dtype))
            for X, y in data]  # fmt: skip
    sizes = [len(data[0][0]), *hidden, 1 + max(int(y.max()) for _, y in data) if classes else 1]
    parameters = _start(sizes, len(rates), dtype, torch.Generator().manual_seed(random_state))
    batches = _batches(len(data[0][1]), batch_size, torch.Generator().manual_seed(random_state))
    dropout = _Dropout(torch.from_numpy(axes["dropouts"]).to(dtype), random_state)
    measured = _descend(
        parameters, data, batches, rates, decays, momentum, ACTIVATIONS[activation], dropout, marks, progress, stop
    )
    # One entry a checkpoint, each [train, validation] of (loss, accuracy), each of them one number a network.
    kept = np.array(measured, dtype=float).transpose(1, 2, 3, 0).reshape(len(data), 2, *shape, -1)
    kept.flags.writeable = False
    (train, train_right), (held_out, held_out_right) = kept if len(data) == 2 else (kept[0], (None, None))
    grid = Grid(
        **axes,
        steps=marks[: len(measured)],
        train_losses=train,
        train_accuracies=train_right,
        validation_losses=held_out,
        validation_accuracies=held_out_right,
        finished=len(measured) == len(marks),
        activation=activation,
        parameters=[p.detach().numpy().reshape(*shape, *p.shape[1:]) for p in parameters],
    )
    return grid if classes else replace(grid, train_accuracies=None, validation_accuracies=None)


def _descend(parameters, data, batches, rates, decays, momentum, activation, dropout, marks, progress, stop):
    """Train the networks in place; return what was measured at each mark reached."""
    X, y = data[0]
    velocities = [torch.zeros_like(p) for p in parameters]
    measured, last, due = [], int(marks[-1]), set(marks.tolist())
    for step in range(last + 1):
        if step in due:
            measured.append([_measure(parameters, *part, activation) for part in data])
            if progress is not None:
                progress(step, last)
        if step == last or (stop is not None and stop()):
            return measured
        rows = next(batches)
        losses = _losses(_forward(parameters, X[:, rows], activation, dropout), y[rows])
        # The sum over networks: its gradient for the weights of one network is that of this network's loss.
        gradients = torch.autograd.grad(losses.mean(1).sum(), parameters)
        with torch.no_grad():
            for p, v, gradient in zip(parameters, velocities, gradients, strict=True):
                v.mul_(momentum).add_(gradient).addcmul_(decays, p)
                p.addcmul_(rates, v, value=-1)


def _start(sizes, n_networks, dtype, generator):
    """Weights (n_networks, n_out, n_in) and biases (n_networks, n_out, 1) of each layer, drawn once, as nn.Linear draws them."""
    parameters = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        for shape in (n_out, n_in), (n_out, 1):  # drawn as float32, so that both dtypes start from the same numbers
            drawn = torch.empty(shape).uniform_(-1 / math.sqrt(n_in), 1 / math.sqrt(n_in), generator=generator)
            parameters.append(drawn.to(dtype).repeat(n_networks, 1, 1).requires_grad_())
    return parameters


def _batches(n_rows, batch_size, generator):
    """Row numbers of one batch after another, without end; shuffled anew each epoch."""
    while True:
        yield from torch.randperm(n_rows, generator=generator).split(batch_size)


def _forward(parameters, X, activation, dropout=None):
    """Output (n_networks, n_out, m) of all networks for the same rows X (n_in, m)."""
    h = X.expand(len(parameters[0]), *X.shape)
    for layer in range(0, len(parameters), 2):
        W, b = parameters[layer : layer + 2]
        h = torch.baddbmm(b, W, h)
        if layer + 2 < len(parameters):
            h = activation(h)
            if dropout is not None:
                h = dropout(h)
    return h


class _Dropout:
    """Zeroes units by their network's rate; one draw for all networks, so equal rates have equal masks."""

    def __init__(self, rates, random_state):
        self.rates, self.generator = rates.view(-1, 1, 1), torch.Generator().manual_seed(random_state + 1)

    def __call__(self, h):
        if not self.rates.any():
            return h
        drawn = torch.rand(h.shape[1:], generator=self.generator, dtype=h.dtype)
        masks = (drawn >= self.rates) / (1 - self.rates)
        return (h.view(-1, len(self.rates), *h.shape[1:]) * masks).view(h.shape)


def _losses(output, y):
    """Loss of each network and row, (n_networks, m): cross-entropy of classes, squared error of real numbers."""
    if y.is_floating_point():
        return (output[:, 0] - y) ** 2
    return F.cross_entropy(output, y.expand(len(output), -1), reduction="none")


@torch.no_grad()
def _measure(parameters, X, y, activation):
    """Mean loss and share of right classes of each network over all rows, a block at a time: two arrays (n_networks,)."""
    block = max(1, NUMBERS_AT_ONCE // (len(parameters[0]) * max(p.shape[1] for p in parameters)))
    loss = right = 0
    for rows, targets in zip(X.split(block, dim=1), y.split(block), strict=True):
        output = _forward(parameters, rows, activation)
        loss = loss + _losses(output, targets).sum(1)
        if not targets.is_floating_point():
            of_the_right_class = output.gather(1, targets.expand(len(output), 1, -1))[:, 0]
            right = right + (of_the_right_class == output.amax(1)).sum(1)
    loss = loss.numpy() / len(y)
    return loss, np.where(np.isfinite(loss), np.asarray(right) / len(y), np.nan)


def _rows(X_name, y_name, X, y, like=None):
    """Return X (m, n) as floats and y (m,) as int64 or floats, checked; with the columns and kind of `like`."""
    X, y = numeric(X_name, X, ndim=2), np.asarray(y)
    classes = y.dtype.kind in "iub"
    y = numeric(y_name, y, ndim=1).astype(np.int64 if classes else float)
    if len(X) != len(y):
        raise ValueError(f"{X_name} and {y_name} must have the same number of rows; got {len(X)} and {len(y)}.")
    if classes and y.min() < 0:
        raise ValueError(
            f"{y_name} must hold classes from 0 on; got {y.min()}. Encode them first, or pass floats for a regression."
        )
    if like is not None and (X.shape[1] != like[0].shape[1] or y.dtype != like[1].dtype):
        raise ValueError(f"validation must have the columns of X and the kind of y: {like[0].shape[1]} and {like[1].dtype}; "
                         f"got {X.shape[1]} and {y.dtype}.")  # fmt: skip
    return X, y


def _pair(validation):
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise TypeError(f"validation must be (X, y) or None; got {type(validation).__name__}.")
    return validation


def _length(num_epochs, num_steps, n_rows, batch_size):
    """Return the number of steps, from whichever of the two was given."""
    if (num_epochs is None) == (num_steps is None):
        raise ValueError(f"give either num_epochs or num_steps; got {num_epochs!r} and {num_steps!r}. Try num_epochs=20.")
    if num_steps is not None:
        return whole("num_steps", num_steps)
    return whole("num_epochs", num_epochs) * math.ceil(n_rows / batch_size)
