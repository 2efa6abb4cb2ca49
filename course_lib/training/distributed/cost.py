"""What working together costs: bytes counted from the sizes of tensors, and seconds measured here."""

import itertools
from statistics import median
from time import perf_counter

import torch
import torch.distributed as dist
from torch import nn

from course_lib._inputs import whole
from course_lib.training.distributed.by_hand import average_gradients, share
from course_lib.training.distributed.group import device_of_this_process


def bytes_per_step(parameters, activations, nproc, *, blocks=1, bytes_per_value=4):
    """Bytes that each process sends in one training step (mean over the processes), for each way to split, as a dict.

    parameters: number of weights. activations: values between two blocks for the whole batch, rows x width (x tokens).
    An all-reduce in a ring sends 2 (n - 1) / n of its tensor, a gather or a scatter half of that (Patarasuk and Yuan,
    2009). Data parallel: one all-reduce of the gradients. Sharded: two gathers of the weights, one scatter of the
    gradients (on gloo as dear as an all-reduce). Tensor parallel: in each block one all-reduce forward and one
    backward. Pipeline: the activations over each of n - 1 borders, and their gradients back.

    >>> bytes_per_step(1000, 100, 2, blocks=3)
    {'data parallel': 4000, 'sharded': 6000, 'tensor parallel': 2400, 'pipeline': 400}
    """
    nproc = whole("nproc", nproc)
    part = bytes_per_value * (nproc - 1) / nproc
    sent = {
        "data parallel": 2 * part * parameters,
        "sharded": 3 * part * parameters,
        "tensor parallel": 4 * part * activations * blocks,
        "pipeline": 2 * part * activations,
    }
    return {kind: round(value) for kind, value in sent.items()}


def time_steps(width=256, depth=2, batch_size=256, num_steps=20, random_state=0):
    """Time data parallel steps by hand of a network of `depth` layers of `width`; to be launched. Returns plain data:

    nproc, parameters, rows (of this process), bytes_sent, and medians over `num_steps` steps in seconds: `compute`
    (forward and backward on the own rows), `wait` (for the slowest process) and `communicate` (averaging gradients).

        >>> launch("course_lib.training.distributed.cost:time_steps", nproc=2, width=512)     # doctest: +SKIP
    """
    device = device_of_this_process("time_steps")
    generator = torch.Generator().manual_seed(random_state)
    model = nn.Sequential(*(layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.ReLU()))).to(device)
    X = torch.randn(batch_size, width, generator=generator).to(device)
    rows, weight = share(batch_size)
    times = [_step(model, X[rows], weight, device) for _ in range(num_steps + 3)][3:]  # the first ones set things up
    parameters = sum(p.numel() for p in model.parameters())
    nproc = dist.get_world_size()
    return {
        "nproc": nproc,
        "parameters": parameters,
        "rows": rows.stop - rows.start,
        "bytes_sent": bytes_per_step(parameters, 0, nproc)["data parallel"],
        **{name: median(column) for name, column in zip(("compute", "wait", "communicate"), zip(*times), strict=True)},
    }


def _step(model, X, weight, device):
    marks = [_now(device)]
    model.zero_grad()
    model(X).square().mean().backward()
    marks.append(_now(device))
    dist.barrier()
    marks.append(_now(device))
    average_gradients(model, weight)
    marks.append(_now(device))
    return [end - start for start, end in itertools.pairwise(marks)]


def _now(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()
