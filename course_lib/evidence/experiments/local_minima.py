"""Chapter 06: what leaves a local minimum, what only ends earlier, and what a schedule is for (B 8.3.2.2, B Q&A)."""

import numpy as np

from course_lib.descent import descend
from course_lib.evidence.registry import Result, claim
from course_lib.objectives import RippledBowl, TwoLayerNetwork
from course_lib.schedules import constant, cosine, restarts

STEPS, STARTS = 400, 64
SMALL, LARGE = 0.5, 6.0  # rates in units of 2/L, the largest at which a dip can hold descent


@claim("B-8.3.2.2-1", metric="share of starts that end above the global minimum", expects="higher", margin=0.05, seeds=10,
       when="XOR is learned with 2 hidden units")  # fmt: skip
def two_hidden_units(seed):
    return Result(0.0, stuck(seed, hidden=2))


@two_hidden_units.counter("XOR is learned with 16 hidden units")
def sixteen_hidden_units(seed):
    return Result(0.0, stuck(seed, hidden=16))


def stuck(seed, hidden):
    """The share of 64 starts from which XOR is not solved; at the global minimum of its loss, 0, it is."""
    xor = TwoLayerNetwork([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], hidden)
    starts = 3 * np.stack([xor.initial(np.random.default_rng([seed, i])) for i in range(STARTS)])
    theta = descend(xor, starts, 0.03, num_iterations=2000, method="adam").theta
    return np.mean(((xor.predict(theta, xor.X) > 0) != xor.y).any(-1))


@claim("B-8.3.2.2-2", metric="share of starts that end in the global minimum of a rippled bowl", expects="higher", margin=0.02,
       seeds=10, when="the rate starts at six times the largest stable one and decays")  # fmt: skip
def large_rate_decays(seed):
    return from_small_constant(seed, cosine(LARGE, STEPS))


@large_rate_decays.counter("the usual rate decays")
def small_rate_decays(seed):
    return from_small_constant(seed, cosine(SMALL, STEPS))


@large_rate_decays.counter("the rate returns to the large one four times")
def large_rate_restarts(seed):
    return from_small_constant(seed, restarts(LARGE, STEPS // 4))


@large_rate_decays.counter("the rate is large and stays")
def large_rate_stays(seed):
    return from_small_constant(seed, constant(LARGE))


@large_rate_decays.counter("the usual rate stays, but each step sees one row")
def one_row_a_step(seed):
    bowls, starts = problems(seed)
    return Result(arrived(bowls, starts, constant(SMALL)), arrived(bowls, starts, constant(SMALL), batch_size=1, random_state=seed))


def from_small_constant(seed, schedule):
    bowls, starts = problems(seed)
    return Result(arrived(bowls, starts, constant(SMALL)), arrived(bowls, starts, schedule))


def problems(seed):
    """64 bowls side by side, each with noise of its own, and a start for each."""
    rng = np.random.default_rng(seed)
    rows = 3 * rng.normal(size=(100, STARTS))
    return RippledBowl(rows - rows.mean(0), height=0.5), rng.uniform(-4, 4, STARTS)


def arrived(bowls, starts, schedule, **options):
    rate = lambda step: schedule(step) * 2 / bowls.lipschitz
    theta = descend(bowls, starts, rate, num_iterations=STEPS, **options).theta
    return np.mean(np.abs(theta) < 0.5)


@claim("B-8.3.2.2-3", metric="share of starts that end in the global minimum of a rippled bowl", expects="higher", margin=0.02,
       seeds=10, when="the rate is the usual one")  # fmt: skip
def stop_small_rate(seed):
    return with_early_stopping(seed, constant(SMALL))


@stop_small_rate.counter("the rate is large and would have decayed")
def stop_large_rate(seed):
    return with_early_stopping(seed, cosine(LARGE, STEPS))


def with_early_stopping(seed, schedule, patience=20):
    """Each start once to the end, and once to where its loss has not fallen for 20 steps; the best iterate is kept."""
    bowls, starts = problems(seed)
    rate = lambda step: schedule(step) * 2 / bowls.lipschitz
    path = descend(bowls, starts, rate, num_iterations=STEPS).iterates
    losses = path**2 / 2 + bowls.height * (1 - np.cos(2 * np.pi * path))
    kept = path[[_best_before_patience(column, patience) for column in losses.T], np.arange(STARTS)]
    return Result(*(np.mean(np.abs(theta) < 0.5) for theta in (path[-1], kept)))


def _best_before_patience(losses, patience):
    """The step of the best loss when the first `patience` steps have gone by without a better one."""
    best = 0
    for step, loss in enumerate(losses):
        if loss < losses[best]:
            best = step
        elif step - best >= patience:
            break
    return best


@claim("B-8.3.2.2-4", metric="accuracy on new rows after 300 steps", expects="higher", margin=0.03, seeds=8,
       when="10 layers of ReLU start from He's width instead of N(0, 0.01)")  # fmt: skip
def deep_from_he(seed):
    return Result(trained(seed, 10, narrow, rate=0.01), trained(seed, 10, he, rate=0.01))


@deep_from_he.counter("the same 10 layers and widths start from another seed")
def deep_from_another_seed(seed):
    return Result(trained(seed, 10, narrow, rate=0.01), trained(seed, 10, narrow, rate=0.01, start=100 + seed))


@deep_from_he.counter("2 layers start from He's width instead of PyTorch's default")
def shallow_from_he(seed):
    return Result(trained(seed, 2, default, rate=0.05), trained(seed, 2, he, rate=0.05))


@claim("B-QA-2", metric="accuracy on new rows after 600 steps", expects="higher", margin=0.01, seeds=8,
       when="the constant rate is near the largest that trains, and decays instead")  # fmt: skip
def decay_from_the_edge(seed):
    return constant_and_cosine(seed, rate=0.3)


@decay_from_the_edge.counter("the constant rate is ten times below the best, and decays instead")
def decay_from_a_small_rate(seed):
    return constant_and_cosine(seed, rate=0.003)


@decay_from_the_edge.counter("the constant rate is the best one, and decays instead")
def decay_from_the_best_rate(seed):
    return constant_and_cosine(seed, rate=0.1)


def constant_and_cosine(seed, rate):
    return Result(*(trained(seed, 3, default, rate, steps=600, schedule=schedule) for schedule in (constant(1.0), cosine(1.0, 600))))


def trained(seed, depth, initialise, rate, steps=300, schedule=None, start=None):
    """Train a ReLU network of width 64 on 1,000 waves of MNIST-1D; return its accuracy on 1,000 others."""
    import torch

    from course_lib.datasets import make_mnist1d
    from course_lib.training.fit import fit

    X, y = make_mnist1d(2000, random_state=seed)
    X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    with torch.random.fork_rng():
        torch.manual_seed(seed if start is None else start)
        model = relu_network(depth, initialise)
    sgd = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    epochs = -(-steps // 16)  # 16 batches of 64 are an epoch
    fit(model, (X[:1000], y[:1000]), optimizer=sgd, schedule=schedule, num_epochs=epochs, random_state=seed, progress=False,
        on_divergence="stop")  # fmt: skip
    with torch.no_grad():
        return (model(X[1000:]).argmax(1) == y[1000:]).double().mean().item()


def relu_network(depth, initialise):
    from torch import nn

    widths = [40] + [64] * (depth - 1) + [10]
    layers = [module for a, b in zip(widths, widths[1:]) for module in (nn.Linear(a, b), nn.ReLU())][:-1]
    for layer in layers[::2]:
        initialise(layer)
    return nn.Sequential(*layers)


def default(layer):
    """PyTorch's own: uniform, with a variance of 1 / (3 inputs)."""


def he(layer):
    from torch import nn

    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)


def narrow(layer):
    from torch import nn

    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
