"""Gradient descent: the exact path against source A's own loop, and 64 learning rates at once against one by one.

    python -m benchmarks.descent

Each side starts from the data (our side's checks, Gram matrix and eigenvalues are in its time) and gives the losses
of 1,000 iterations. Where the loop would take minutes, it runs fewer of them and its time is multiplied: the size
says so.
"""

import numpy as np

from benchmarks._table import interleave, publish, row
from course_lib.descent import ClosedFormPath, descend
from course_lib.objectives import MeanSquaredError

T = 1000
RATES = 64


def source_loop(X, y, learning_rate, num_iterations):
    """The loop of A 8.4 with the formula's factor 2/m; it also keeps the loss of each residual that it computes."""
    m, n = X.shape
    theta, losses = np.zeros((n, 1)), np.empty(num_iterations)
    for i in range(num_iterations):
        residual = X @ theta - y
        losses[i] = residual[:, 0] @ residual[:, 0] / m
        theta = theta - learning_rate * ((2 / m) * X.T @ residual)
    return losses


def data(m, n):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(m, n)) @ (np.eye(n) + 0.3 * rng.normal(size=(n, n)) / np.sqrt(n))
    return X, X @ rng.normal(size=n) + rng.normal(size=m)


def one_rate(m, n, target, iterations):
    X, y = data(m, n)
    rate, column = 1 / MeanSquaredError(X, y).lipschitz, y[:, None]
    ours = lambda: ClosedFormPath(MeanSquaredError(X, y)).losses(np.arange(T), rate)
    peer = lambda: source_loop(X, y.reshape(-1, 1), rate, iterations)
    times = interleave(ours, peer, repetitions=15 if m < 100_000 else 7)
    agreement = np.abs(ours()[:iterations] - source_loop(X, column, rate, iterations)).max()
    return row("exact path: losses of 1,000 iterations", size(m, n, iterations), *times, target=target,
               agreement=agreement, peer_name="source's loop", scale=T / iterations)  # fmt: skip


def many_rates(m, n, target, iterations, repetitions):
    X, y = data(m, n)
    rates = np.geomspace(0.01, 1.9, RATES) / MeanSquaredError(X, y).lipschitz
    exact = lambda: ClosedFormPath(MeanSquaredError(X, y)).losses(np.arange(T), rates)
    loop = lambda: descend(MeanSquaredError(X, y), np.zeros(n), rates, num_iterations=T - 1)
    peer = lambda: np.array([source_loop(X, y[:, None], rate, iterations) for rate in rates])
    *ours, theirs = interleave(exact, loop, peer, repetitions=repetitions)
    losses = peer()
    results = {"exact path": exact(), "descend (and all iterates)": loop().losses.T}
    return [
        row(f"64 learning rates at once: {name}", size(m, n, iterations), times, theirs, peer_name="one by one",
            target=target if name == "exact path" else None, scale=T / iterations,
            agreement=np.abs(answer[:, :iterations] - losses).max())  # fmt: skip
        for times, (name, answer) in zip(ours, results.items(), strict=True)
    ]


def size(m, n, iterations):
    return f"{m:,} x {n}" + ("" if iterations == T else f" (loop: {iterations} iterations, times {T // iterations})")


def main():
    rows = [one_rate(442, 10, 100, T), one_rate(20_640, 8, 400, T), one_rate(100_000, 100, 400, 100)]
    rows += many_rates(442, 10, 70, T, 7) + many_rates(20_640, 8, 500, 100, 7) + many_rates(100_000, 100, 70, 5, 3)
    return publish("descent", rows)


if __name__ == "__main__":
    main()
