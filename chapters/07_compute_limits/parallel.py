"""What the processes of lesson 07 run: the same four batches, split in five ways, against one process alone.

    distributed.launch("parallel:compare", nproc=2)
"""

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

from course_lib.datasets import make_mnist1d
from course_lib.training import distributed

cross_entropy = nn.CrossEntropyLoss()


def compare():
    """For each way: the largest difference from the weights of one process, and the share of the weights held by rank 0."""
    found = {way.__name__: way() for way in (by_hand, ddp, fsdp, tensor_parallel, pipeline)}
    return found | {"uneven": distributed.uneven_batch(rows=(28, 4))}


def by_hand():
    model = network()
    optimizer = sgd(model)
    for X, y in batches():
        distributed.data_parallel_step(model, optimizer, cross_entropy, X, y)
    return report(model)


def ddp():
    return own_rows(distributed.data_parallel(network()))


def fsdp():
    return own_rows(distributed.shard(network()))


def own_rows(model):
    optimizer = sgd(model)
    for X, y in batches():
        rows, weight = distributed.share(len(X))
        optimizer.zero_grad()
        (cross_entropy(model(X[rows]), y[rows]) * weight * dist.get_world_size()).backward()
        optimizer.step()
    return report(model)


def tensor_parallel():
    model = distributed.tensor_parallel(network(), columns=["0"], rows=["2"])
    optimizer = sgd(model)
    for X, y in batches():
        optimizer.zero_grad()
        cross_entropy(model(X), y).backward()
        optimizer.step()
    return report(model)


def pipeline():
    part, step = distributed.pipeline(network(), cross_entropy, num_microbatches=2)
    optimizer = sgd(part)
    for X, y in batches()[:3]:  # its pieces are of one size, so it drops the last batch
        optimizer.zero_grad()
        step(X, y)
        optimizer.step()
    return report(part, num_batches=3)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(40, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def batches():
    """Three batches of 32 rows, and a last one of 5."""
    X, y = make_mnist1d(200, random_state=0)
    X, y = torch.tensor(X[:101]).float(), torch.tensor(y[:101])
    return list(zip(X.split(32), y.split(32)))


def sgd(model):
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)


def alone(num_batches):
    model = network()
    optimizer = sgd(model)
    for X, y in batches()[:num_batches]:
        optimizer.zero_grad()
        cross_entropy(model(X), y).backward()
        optimizer.step()
    return model.state_dict()


def report(model, num_batches=4):
    """Compare with one process, and count the numbers that this process holds itself."""
    expected = alone(num_batches)
    state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    largest = torch.stack([(value - expected[name]).abs().max() for name, value in state.items()]).max()
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    held = sum((p.to_local() if hasattr(p, "to_local") else p).numel() for p in model.parameters())
    return {"difference": largest.item(), "held": held / sum(value.numel() for value in expected.values())}
