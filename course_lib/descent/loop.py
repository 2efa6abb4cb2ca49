"""The loop of gradient descent, for any objective and method, for one run or for many at once."""

import numpy as np

from .._inputs import fraction, generator, not_negative, numeric, one_of, positive, whole
from ..objectives._base import Objective
from .methods import METHODS, PROXIMAL
from .path import Path

LOOK_EVERY = 64  # steps between two looks whether all runs are at their end: a look costs as much as a step
LARGEST_HESSIAN = 2000  # parameters: above, n x n steps cost more than passes over the data


def descend(objective, start, learning_rate=0.1, *, num_iterations=1000, method="plain", momentum=0.9,
            batch_size=None, random_state=None, tolerance=0.0, weight_decay=0.0):  # fmt: skip
    """Follow the negative gradient of `objective` from `start` and return the whole `Path`.

    start: shape (n,), or (k, n) for k runs as one computation.
    learning_rate: a number; an array (k,), one rate for each of k runs; or a schedule, a function of the step.
        Rates, starts and the alphas of a penalty may be batched together: run i takes entry i of each.
    method: "plain", "momentum", "nesterov", "adagrad", "rmsprop", "adam" or "adamw"; same updates as torch.optim.
        An L1 penalty is handled by its proximal step in "plain" (ISTA), "momentum" and "nesterov" (FISTA, with its
        own momentum); the adaptive methods follow its subgradient, and so seldom reach a zero.
    momentum: in [0, 1); read by "momentum" and "nesterov".
    batch_size: rows per step, drawn without replacement and reshuffled every epoch by `random_state`; None takes
        all rows. All k runs see the same batches. Losses and gradient norms are of the full objective.
    tolerance: stop a run when its gradient's norm is at most this; 0 takes all `num_iterations` steps.
    weight_decay: read by "adamw"; intercept and biases do not decay.

    Divergence raises nothing: a run whose loss ceases to be finite keeps its last finite iterate, and
    `path.stopped` says "diverged". Bad arguments raise ValueError or TypeError that name them.

    >>> from course_lib.objectives import MeanSquaredError
    >>> path = descend(MeanSquaredError([[1.0], [-1.0]], [2.0, -2.0]), [0.0], [0.25, 2.0], num_iterations=600)
    >>> path.theta.shape, path.stopped.tolist()
    ((2, 1), ['num_iterations', 'diverged'])
    """
    if not isinstance(objective, Objective):
        raise TypeError(f"objective must be one of course_lib.objectives, such as MeanSquaredError(X, y); got {objective!r}.")
    num_iterations = whole("num_iterations", num_iterations, minimum=0)
    tolerance = not_negative("tolerance", tolerance, example="1e-8")
    step = METHODS[one_of("method", method, tuple(METHODS))]
    decay = _weight_decay(weight_decay, method) * objective.penalised
    state = {"momentum": fraction("momentum", momentum, example=0.9, zero=True), "decay": decay}
    rates = _rates(learning_rate, num_iterations)
    theta, rates, single = _runs(objective, start, rates)
    batches = _minibatches(objective, batch_size, random_state)
    if objective.is_proximal:
        step = PROXIMAL.get(method, step)
    if objective.is_quadratic and objective.n_parameters <= LARGEST_HESSIAN:
        objective = objective.quadratic()  # the same losses at n x n a step, however many rows there are
    with np.errstate(over="ignore", invalid="ignore"):
        path = _loop(objective, theta, rates, step, state, batches, tolerance)
    return path.run(0) if single else path


def _loop(objective, theta, rates, step, state, batches, tolerance):
    T, (k, n) = len(rates), theta.shape
    iterates, losses, norms = np.empty((T + 1, k, n)), np.empty((T + 1, k)), np.empty((T + 1, k))
    loss, gradient = objective.value_and_gradient(theta)
    iterates[0], losses[0], norms[0] = theta, loss, _length(gradient)
    at_end = np.zeros(k, dtype=bool)
    for t in range(T):
        if t % LOOK_EVERY == 0:
            new = slice(max(t - LOOK_EVERY, 0), t + 1)
            at_end |= _ended(losses[new], norms[new], tolerance).any(0)
            if at_end.all():
                T = t
                break
        part = objective if batches is None else next(batches)
        theta = step(theta, gradient if part is objective else part.gradient(theta), rates[t, :, None], state, part)
        loss, gradient = objective.value_and_gradient(theta)
        iterates[t + 1], losses[t + 1], norms[t + 1] = theta, loss, _length(gradient)
    return _cut(iterates[: T + 1], losses[: T + 1], norms[: T + 1], rates, tolerance)


def _length(gradient):
    return np.sqrt(np.vecdot(gradient, gradient))


def _ended(losses, norms, tolerance):
    """Tell where a run is at its end, (t, k): its loss is not finite, or its gradient small enough."""
    return ~np.isfinite(losses) | ((norms <= tolerance) & (tolerance > 0))


def _cut(iterates, losses, norms, rates, tolerance):
    """Return the Path in which every run stays where it ended."""
    ended, runs = _ended(losses, norms, tolerance), np.arange(losses.shape[1])
    early, last = ended.any(0), np.where(ended.any(0), ended.argmax(0), len(losses) - 1)
    diverged = early & ~np.isfinite(losses[last, runs])
    steps = np.maximum(last - diverged, 0)  # the step that overflowed does not count
    stopped = np.where(diverged, "diverged", np.where(early, "tolerance", "num_iterations"))
    T = steps.max()
    iterates, losses, norms = (array[: T + 1] for array in (iterates, losses, norms))
    for i in runs[steps < T]:
        for array in (iterates, losses, norms):
            array[steps[i] + 1 :, i] = array[steps[i], i]
    return Path(iterates, losses, norms, rates[:T], steps, stopped)


def _runs(objective, start, rates):
    """Return start (k, n), rates (T, k) and whether there is no axis k: every batched argument has the same k."""
    start = numeric("start", start)
    if start.ndim > 2 or start.shape[-1:] != (objective.n_parameters,):
        n = objective.n_parameters
        raise ValueError(f"start must have shape ({n},) or (k, {n}); got {start.shape}. Try np.zeros({n}).")
    alpha = np.asarray(getattr(objective.penalty, "alpha", 0.0))
    axes = {"start": start.shape[:-1], "learning_rate": rates.shape[1:], "alpha": alpha.shape}
    sizes = {name: shape[0] for name, shape in axes.items() if shape}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"batched arguments must have the same number of runs; got {sizes}.")
    k = max(sizes.values(), default=1)
    rates = np.broadcast_to(rates if rates.ndim == 2 else rates[:, None], (len(rates), k))
    return np.broadcast_to(start, (k, start.shape[-1])), rates, not sizes


def _rates(learning_rate, num_iterations):
    """Return the rate of every step, (T,) or (T, k)."""
    if not callable(learning_rate):
        rate = np.asarray(positive("learning_rate", learning_rate, example="0.1"))
        if rate.ndim > 1:
            raise ValueError(f"learning_rate must be a number or have shape (k,); got shape {rate.shape}.")
        return np.broadcast_to(rate, (num_iterations, *rate.shape))
    if num_iterations == 0:
        return np.empty(0)
    rates = [learning_rate(t) for t in range(num_iterations)]
    rates = not_negative("learning_rate", rates, example="a schedule such as cosine(0.1, 1000)")
    if rates.ndim > 2:
        raise ValueError(f"learning_rate must give a number or shape (k,) at each step; got shape {rates.shape[1:]}.")
    return rates


def _minibatches(objective, batch_size, random_state):
    """Return None, or a generator of objectives on `batch_size` rows: each epoch sees every row once."""
    if batch_size is None:
        return None
    m, size = len(objective.y), whole("batch_size", batch_size)
    if size > m:
        raise ValueError(f"batch_size must be at most the number of rows, {m}; got {size}. Use None for all rows.")
    return _epochs(objective, m, size, generator(random_state))


def _epochs(objective, m, size, rng):
    while True:
        order = rng.permutation(m)
        for first in range(0, m, size):
            yield objective.batch(order[first : first + size])


def _weight_decay(weight_decay, method):
    decay = not_negative("weight_decay", weight_decay, example="0.01")
    if np.any(decay) and method != "adamw":
        raise ValueError(f"weight_decay is for method='adamw'; got method={method!r}. Give the objective an L2 penalty.")
    return decay
