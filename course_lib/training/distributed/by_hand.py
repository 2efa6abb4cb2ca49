"""Data parallel training by hand: what DistributedDataParallel does, in the fewest lines that do it right."""

import torch
import torch.distributed as dist
from torch import nn

from course_lib._inputs import whole
from course_lib.training import batches
from course_lib.training.distributed.group import device_of_this_process


def share(n_rows):
    """The rows of a batch that belong to this process, as a slice, and its weight: its rows / all rows.

    The parts differ by one row at most, and the weights sum to 1. A process without a row of its own takes the first
    one with weight 0, because every process must take part in every step.

        rows, weight = share(len(X))          # 5 rows on 2 processes: slice(0, 2), 0.4 and slice(2, 5), 0.6
    """
    n_rows = whole("n_rows", n_rows)
    rows, own = batches.share(n_rows, dist.get_rank(), dist.get_world_size())
    return rows, own / n_rows


def average_gradients(model, weight):
    """Replace each gradient by the weighted sum over the processes, the same on all of them.

    weight: this process's rows / rows of the whole batch. The gradient of a mean over N rows is
    sum_r (n_r / N) grad_r. Equal weights, 1 / nproc, are right only if every process has the same number of rows.
    """
    device_of_this_process("average_gradients")
    for parameter in model.parameters():
        parameter.grad *= weight
        dist.all_reduce(parameter.grad, op=dist.ReduceOp.SUM)


def data_parallel_step(model, optimizer, loss, X, y):
    """One step on the batch X, y, of which this process computes its share; return the loss of the whole batch.

    Every process holds the whole model and passes the same batch. Afterwards all of them hold the same new weights.
    """
    rows, weight = share(len(X))
    optimizer.zero_grad()
    value = loss(model(X[rows]), y[rows])
    value.backward()
    average_gradients(model, weight)
    optimizer.step()
    total = value.detach() * weight
    dist.all_reduce(total)
    return total.item()


def uneven_batch(rows=(28, 4), n_features=20, random_state=0):
    """Average the gradients of a batch of which process r has rows[r] rows, naively and weighted; to be launched.

    Linear regression on noisy rows. Returns plain data: `naive` and `weighted`, each the relative distance
    |averaged - exact| / |exact| from the gradient that one process computes on all the rows.

        >>> launch("course_lib.training.distributed.by_hand:uneven_batch", rows=[28, 4])      # doctest: +SKIP
    """
    nproc = dist.get_world_size()
    if len(rows) != nproc:
        raise ValueError(f"rows must have one number for each of the {nproc} processes; got {list(rows)}.")
    generator = torch.Generator().manual_seed(random_state)
    X, y = torch.randn(sum(rows), n_features, generator=generator), torch.randn(sum(rows), 1, generator=generator)
    mine = slice(sum(rows[: dist.get_rank()]), sum(rows[: dist.get_rank() + 1]))
    model = nn.Linear(n_features, 1)
    nn.init.zeros_(model.weight), nn.init.zeros_(model.bias)

    def gradient(rows, weight=None):
        model.zero_grad()
        nn.functional.mse_loss(model(X[rows]), y[rows]).backward()
        if weight is not None:
            average_gradients(model, weight)
        return model.weight.grad.clone()

    exact = gradient(slice(None))
    weights = {"naive": 1 / nproc, "weighted": rows[dist.get_rank()] / sum(rows)}
    return {name: ((gradient(mine, weight) - exact).norm() / exact.norm()).item() for name, weight in weights.items()}
