"""A grid of small networks trained together (`train_grid`) against one network after another in bare PyTorch.

    python -m benchmarks.grid

Same start, same batches, same SGD with momentum and weight decay for both sides, float32; the largest difference is
that of the final training losses over the configurations whose loss stays below the loss of guessing.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits, make_moons
from torch import nn

from benchmarks._table import interleave, publish, row
from course_lib.training.grid import train_grid

MOMENTUM, BATCH = 0.9, 64


def together(X, y, hidden, rates, decays, num_steps):
    """Losses after `num_steps`, shape (n_rates, n_decays); a new seed each call, so that no remembered grid answers."""
    together.calls += 1
    grid = train_grid(X, y, hidden=(hidden,), learning_rates=rates, weight_decays=decays, num_steps=num_steps, batch_size=BATCH,
                      momentum=MOMENTUM, num_checkpoints=2, random_state=together.calls)  # fmt: skip
    return grid.train_losses[:, :, 0, -1]


together.calls = 0


def one_by_one(X, y, hidden, rates, decays, num_steps):
    X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    n_classes = int(y.max()) + 1
    losses = np.empty((len(rates), len(decays)))
    for i, rate in enumerate(rates):
        for j, decay in enumerate(decays):
            model = nn.Sequential(nn.Linear(X.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, n_classes))
            sgd = torch.optim.SGD(model.parameters(), float(rate), momentum=MOMENTUM, weight_decay=float(decay))
            step = 0
            while step < num_steps:
                for rows in torch.randperm(len(X)).split(BATCH)[: num_steps - step]:
                    sgd.zero_grad()
                    nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
                    sgd.step()
                    step += 1
            with torch.no_grad():
                losses[i, j] = nn.functional.cross_entropy(model(X), y)
    return losses


def compare(size, X, y, hidden, rates, decays, num_steps, target):
    task = (X, y, hidden, rates, decays, num_steps)
    times = interleave(lambda: together(*task), lambda: one_by_one(*task), repetitions=7)
    ours, theirs = together(*task), one_by_one(*task)
    stable = rates <= 0.1  # beyond, another seed decides about the loss
    difference = abs(np.median(ours[stable]) - np.median(theirs[stable]))
    return row("a grid of networks at once", size, *times, target=target, peer_name="one by one", agreement=difference)


def main():
    torch.set_num_threads(1)
    digits, labels = load_digits(return_X_y=True)
    moons, sides = make_moons(1000, noise=0.2, random_state=0)
    eight, sixteen = np.geomspace(1e-3, 0.3, 8), np.geomspace(1e-3, 0.3, 16)
    rows = [
        compare("64 networks 64-64-10, digits, 115 steps", digits / 16, labels, 64, eight, np.geomspace(1e-5, 1e-2, 8), 115, 4),
        compare("256 networks 2-16-2, moons, 100 steps", moons, sides, 16, sixteen, np.geomspace(1e-5, 1e-2, 16), 100, 20),
    ]
    return publish("grid", rows)


if __name__ == "__main__":
    main()
