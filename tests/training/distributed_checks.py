"""What the processes of test_distributed.py run: each check trains in this group and alone, and gives the largest difference."""

import os
import signal
import time

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

from course_lib.training import distributed

loss = nn.CrossEntropyLoss()


def network():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))
    return network.to(distributed.group.device_of_this_process("network"))


def rows(n_rows, seed=1):
    generator = torch.Generator().manual_seed(seed)
    X, y = torch.randn(n_rows, 10, generator=generator), torch.randint(3, (n_rows,), generator=generator)
    device = distributed.group.device_of_this_process("rows")
    return X.to(device), y.to(device)


def batches(size=16):
    """Four batches: the last one is uneven for two processes, where `size` is even."""
    return [rows(size, 1), rows(size, 2), rows(size, 3), rows(size // 2 - 1, 4)]


def momentum(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def alone(batches):
    model = network()
    optimizer = momentum(model.parameters())
    for X, y in batches:
        optimizer.zero_grad()
        loss(model(X), y).backward()
        optimizer.step()
    return model.state_dict()


def difference(model, expected):
    """The largest difference of a weight, over all processes."""
    state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    largest = torch.stack([(value - expected[name]).abs().max() for name, value in state.items()]).max()
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return largest.item()


def by_hand():
    model = network()
    optimizer = momentum(model.parameters())
    for X, y in [*batches(), rows(1, 5)]:  # a batch of one row: a process without any
        distributed.data_parallel_step(model, optimizer, loss, X, y)
    return difference(model, alone([*batches(), rows(1, 5)]))


def wrapped(wrap):
    """DDP and FSDP2 average with equal weights, so the loss carries the right ones."""
    model = wrap(network())
    optimizer = momentum(model.parameters())
    for X, y in batches():
        mine, weight = distributed.share(len(X))
        optimizer.zero_grad()
        (loss(model(X[mine]), y[mine]) * weight * dist.get_world_size()).backward()
        optimizer.step()
    return difference(model, alone(batches()))


def sharded_memory():
    """The share of the weights that this process keeps."""
    model = distributed.shard(network())
    kept = sum(p.to_local().numel() for p in model.parameters())
    return kept / sum(p.numel() for p in network().parameters())


def tensor_parallel():
    model = distributed.tensor_parallel(network(), columns=["0"], rows=["2"])
    assert model[0].weight.to_local().shape == (32 // dist.get_world_size(), 10)
    optimizer = momentum(model.parameters())
    for X, y in batches():
        optimizer.zero_grad()
        loss(model(X), y).backward()
        optimizer.step()
    return difference(model, alone(batches()))


def pipeline():
    part, step = distributed.pipeline(network(), loss, num_microbatches=4)
    optimizer = momentum(part.parameters())
    even = batches()[:3]
    reference, losses = network(), []
    for X, y in even:
        optimizer.zero_grad()
        losses.append(step(X, y))
        optimizer.step()
    assert abs(losses[0] - loss(reference(even[0][0]), even[0][1]).item()) < 1e-6
    return difference(part, alone(even))


def messages():
    """What each bad argument is told."""
    wrong = {
        "columns": lambda: distributed.tensor_parallel(network(), columns=["head"], rows=[]),
        "rows": lambda: distributed.tensor_parallel(nn.Sequential(nn.Linear(3, 3)), columns=[], rows=["0"]),
        "model": lambda: distributed.pipeline(nn.Linear(3, 3), loss),
        "items": lambda: distributed.pipeline(nn.Sequential(nn.Linear(3, 3)), loss),
        "X": lambda: distributed.pipeline(network(), loss).step(*rows(7)),
        "uneven": lambda: distributed.uneven_batch(rows=[1, 2, 3]),
    }
    told = {}
    for name, call in wrong.items():
        try:
            call()
        except (TypeError, ValueError) as error:
            told[name] = str(error)
    return told


def every_check():
    print("checks begin on rank", dist.get_rank())
    return {
        "by hand": by_hand(),
        "DDP": wrapped(distributed.data_parallel),
        "FSDP2": wrapped(distributed.shard),
        "tensor parallel": tensor_parallel(),
        "pipeline": pipeline(),
        "sharded memory": sharded_memory(),
        "uneven": distributed.uneven_batch(),
        "messages": messages(),
        "times": distributed.time_steps(width=32, num_steps=3),
        "group": distributed.group.describe(),
        "plain data": {"array": np.arange(3), "tensor": torch.ones(2), "nested": [{"a": (1, None, np.float64(0.5))}]},
    }


def echo(**arguments):
    return arguments


def fail_on_rank_1():
    if dist.get_rank() == 1:
        raise ValueError("the learning rate fell into the sea")
    dist.barrier()


def killed_on_rank_1():
    if dist.get_rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    dist.barrier()


def sleep():
    print("pid", os.getpid(), flush=True)
    time.sleep(300)
