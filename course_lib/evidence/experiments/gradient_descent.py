"""Chapter 02: the step of gradient descent and its rate (A 8.2, 8.3.1, 8.3.3, 8.8; B appendix).

Most seeds are draws of 300 of the 442 patients, standardised, the mean taken out of the target. The draws overlap, so
the intervals speak about this table, not about other patients.
"""

import numpy as np

from course_lib.datasets import load_diabetes
from course_lib.descent import ClosedFormPath, descend
from course_lib.evidence.registry import Result, claim
from course_lib.objectives import L2, MeanSquaredError, TwoLayerNetwork, cross_entropy

RATES = np.geomspace(1e-4, 1, 33)  # a sweep by equal factors, up to where it diverges


def patients(seed):
    """Standardised measurements of 300 patients, and their target with mean 0: no intercept is needed."""
    X, y = load_diabetes()
    rows = np.random.default_rng(seed).choice(len(y), 300, replace=False)
    X = X[rows]
    return (X - X.mean(axis=0)) / X.std(axis=0), y[rows] - y[rows].mean()


def bowl(seed):
    """The mean squared error of least squares on 300 patients: a convex objective."""
    return MeanSquaredError(*patients(seed))


def excess(objective, steps, rates):
    """Loss above the lowest possible one after `steps`, in parts of that at the start, one for each rate."""
    losses = ClosedFormPath(objective).losses(np.array([0, steps]), np.atleast_1d(rates))
    lowest = objective.quadratic().minimum
    return (losses[:, 1] - lowest) / (losses[:, 0] - lowest)


@claim("A-8.2-4", metric="loss above the lowest one, in parts of the start", expects="same", margin=0.01, seeds=20,
       when="the objective is convex")  # fmt: skip
def reaches_the_lowest(seed):
    J = bowl(seed)
    return Result(0.0, excess(J, 10_000, 1 / J.lipschitz)[0])


@reaches_the_lowest.counter("it is not: XOR with two hidden units")
def stuck_in_a_valley(seed):
    xor = TwoLayerNetwork([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], hidden=2)
    starts = np.stack([xor.initial(np.random.default_rng([seed, i])) for i in range(8)])
    losses = descend(xor, starts, 2.0, num_iterations=2000).losses
    return Result(0.0, np.mean(losses[-1] / losses[0]))  # mean of eight starts; the lowest loss is 0


@claim("A-8.2-5", "A-8.3.1-6", metric="length of the update", expects="higher", scale="ratio", seeds=20,
       when="the rate is 10 times as large, first step")  # fmt: skip
def first_update(seed):
    return update_at(0, bowl(seed))


@first_update.counter("5,000 steps later: the faster run has less slope left")
def late_update(seed):
    return update_at(5000, bowl(seed))


def update_at(step, J):
    theta = ClosedFormPath(J).theta(np.array([step, step + 1]), np.array([0.1, 1.0]) / J.lipschitz)
    return Result(*np.linalg.norm(theta[:, 1] - theta[:, 0], axis=-1))


@claim("A-8.2-6", "A-8.8-1", metric="loss above the lowest one, in parts of the start", expects="higher", margin=0.001,
       seeds=20, when="the rate is 100 times below the best, 100 steps")  # fmt: skip
def rate_too_small(seed):
    J = bowl(seed)
    after = excess(J, 100, RATES)
    best = np.nanargmin(after)
    return Result(after[best], excess(J, 100, RATES[best] / 100)[0])


@rate_too_small.counter("the rate is 2.4/L instead of 1.8/L, 10 steps")
def rate_too_large(seed):
    J = bowl(seed)
    return Result(*excess(J, 10, np.array([1.8, 2.4]) / J.lipschitz))


@rate_too_small.counter("the valley is round and the rate 10 times below 1/L, 100 steps")
def rate_in_a_round_valley(seed):
    X, y = patients(seed)
    white = np.linalg.svd(X, full_matrices=False)[0] * np.sqrt(len(X))  # uncorrelated columns of one scale
    J = MeanSquaredError(white, y)
    return Result(*excess(J, 100, np.array([1.0, 0.1]) / J.lipschitz))


@claim("A-8.8-2", metric="loss above the lowest one, in parts of the start", expects="lower", scale="ratio", seeds=20,
       when="the best of a sweep replaces 0.01, all rows")  # fmt: skip
def swept(seed):
    J = bowl(seed)
    return Result(excess(J, 1000, 0.01)[0], np.nanmin(excess(J, 1000, RATES)))


@swept.counter("the rate that was best with all rows is used with 32 rows a step")
def swept_for_another_batch(seed):
    J = bowl(seed)
    best = RATES[np.nanargmin(excess(J, 1000, RATES))]
    path = descend(J, np.zeros(J.n_parameters), np.array([0.01, best]), num_iterations=1000, batch_size=32, random_state=seed)
    lowest = J.quadratic().minimum
    return Result(*((path.losses[-1] - lowest) / (path.losses[0] - lowest)))


@claim("A-8.3.1-2", metric="share of steps on which the loss rises", expects="same", seeds=20,
       when="all rows take part and the rate is 1.99/L")  # fmt: skip
def below_the_limit(seed):
    return share_of_rises(seed, 1.99)


@below_the_limit.counter("the rate is 2.01/L")
def above_the_limit(seed):
    return share_of_rises(seed, 2.01)


@below_the_limit.counter("16 rows a step, 0.2/L")
def with_minibatches(seed):
    return share_of_rises(seed, 0.2, batch_size=16, random_state=seed)


@below_the_limit.counter("momentum 0.9, 1/L")
def with_momentum(seed):
    return share_of_rises(seed, 1.0, method="momentum")


def share_of_rises(seed, part, **options):
    """0, which "every iteration" promises, and the share on which the loss went up by more than rounding."""
    J = bowl(seed)
    losses = descend(J, np.zeros(J.n_parameters), part / J.lipschitz, num_iterations=500, **options).losses
    return Result(0.0, np.mean(np.diff(losses) > 1e-12 * losses[:-1]))


@claim("A-8.3.1-5", metric="distance from the exact path, in parts of its length", expects="same", margin=1e-9, seeds=20,
       when="theta moves by the rate times the gradient")  # fmt: skip
def the_update(seed):
    return off_the_exact_path(seed, method="plain")


@the_update.counter("the run has momentum 0.9 and the rule is taken for it")
def the_update_with_momentum(seed):
    return off_the_exact_path(seed, method="momentum")


def off_the_exact_path(seed, method):
    J = bowl(seed)
    rate = 1 / J.lipschitz
    reached = descend(J, np.zeros(J.n_parameters), rate, num_iterations=200, method=method).theta
    exact = ClosedFormPath(J).theta(200, rate)
    return Result(0.0, np.linalg.norm(reached - exact) / np.linalg.norm(exact))


@claim("A-8.3.3.2-1", metric="error of the gradient against finite differences", expects="same", margin=1e-6, seeds=20,
       when="the objective is the mean squared error alone")  # fmt: skip
def formula_gradient(seed):
    return gradient_error(seed, factor=2, penalty=None)


@formula_gradient.counter("a penalty on the weights is added to it")
def formula_gradient_with_penalty(seed):
    return gradient_error(seed, factor=2, penalty=L2(1.0))


@claim("A-8.3.3.2-2", metric="error of the gradient against finite differences", expects="same", margin=1e-6, seeds=20,
       when="the code has 1/m, as the listing has it")  # fmt: skip
def listing_gradient(seed):
    return gradient_error(seed, factor=1, penalty=None)


@listing_gradient.counter("the code has the formula's 2/m")
def listing_gradient_repaired(seed):
    return gradient_error(seed, factor=2, penalty=None)


def gradient_error(seed, factor, penalty):
    """Relative error of factor/m X'(X theta - y), at a random theta, as gradient of the mean squared error + penalty."""
    X, y = patients(seed)
    theta, moves = 20 * np.random.default_rng([seed, 1]).normal(size=X.shape[1]), 1e-4 * np.eye(X.shape[1])
    J = MeanSquaredError(X, y, penalty=penalty)
    slope = (J.value(theta + moves) - J.value(theta - moves)) / 2e-4
    written = factor / len(y) * X.T @ (X @ theta - y)
    return Result(0.0, np.linalg.norm(written - slope) / np.linalg.norm(slope))


@claim("B-App-4", "B-App-6", metric="share of patients with a finite loss, first step", expects="same", seeds=20,
       when="the network's output goes into the cross-entropy as it is written")  # fmt: skip
def literal_cross_entropy(seed):
    ill, output = network_output(seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        losses = -ill * np.log(output) - (1 - ill) * np.log(1 - output)
    return Result(1.0, np.mean(np.isfinite(losses)))


@literal_cross_entropy.counter("the cross-entropy is computed from the output as a logit")
def cross_entropy_of_the_logit(seed):
    ill, output = network_output(seed)
    return Result(1.0, np.mean(np.isfinite(cross_entropy(ill, output))))


def network_output(seed):
    """Labels, and what the two-layer network of the appendix says before training."""
    X, y = patients(seed)
    network = TwoLayerNetwork(X, (y > np.median(y)).astype(float), hidden=8)
    return (y > np.median(y)).astype(float), network.predict(network.initial(np.random.default_rng([seed, 1])), X)
