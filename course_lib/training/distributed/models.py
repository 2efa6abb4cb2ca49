"""Four ways to spread a model over processes, all of them PyTorch's own."""

from fnmatch import fnmatch
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.pipelining import PipelineStage, ScheduleGPipe
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

from course_lib._inputs import whole
from course_lib.training.distributed.group import device_of_this_process


def data_parallel(model):
    """Split the rows: every process holds the whole model and computes the gradient of its part of each batch.

    PyTorch's DistributedDataParallel. Cost: memory as on one device; in each step every process sends and receives
    about 2 (n - 1) / n times the gradients, while the backward pass still runs. Rank 0's weights are sent to all first.
    Gradients are averaged with equal weights: scale the loss by n * own rows / all rows where rows are uneven (`fit` does).
    BatchNorm sees only this process's rows; PyTorch's SyncBatchNorm sees them all.
    """
    device = device_of_this_process("data_parallel")
    return DistributedDataParallel(model.to(device), device_ids=[device] if device.type == "cuda" else None)


def shard(model):
    """Split rows, weights, gradients and optimizer state: every process keeps 1/n of each tensor. Changes `model` in place.

    PyTorch's FSDP2, `fully_shard`. The weights of a block (an item of a Sequential or ModuleList) are gathered just
    before it runs and freed after it, so that only one block at a time is whole. Cost: each step sends the weights
    twice (forward, backward) and the gradients once, about 1.5 times the bytes of `data_parallel`. Make the optimizer
    afterwards: the parameters are new ones, DTensors. Rank 0's weights are sent to all first.
    """
    device = device_of_this_process("shard")
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    model.to(device)
    for tensor in (*model.parameters(), *model.buffers()):
        dist.broadcast(tensor.detach(), src=0)
    stacks = (
        [model]
        if isinstance(model, nn.Sequential)
        else [m for m in model.children() if isinstance(m, (nn.Sequential, nn.ModuleList))]
    )
    for block in (block for stack in stacks for block in stack):
        if next(block.parameters(), None) is not None:
            fully_shard(block, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def tensor_parallel(model, columns, rows):
    """Split single layers: every process holds part of each named weight matrix. Changes `model` in place.

    columns, rows: names of Linear layers (`*` stands for anything within one level), in pairs that follow each other,
    such as the two layers of a transformer's MLP: the first is split by outputs, the second by inputs, and what lies
    between them, a ReLU or GELU, needs no talk. PyTorch's ColwiseParallel and RowwiseParallel. Every process passes
    the same rows. Cost: two all-reduces of the activations (rows x width) per pair and step, which nothing hides, so
    that the devices must share fast links.

        tensor_parallel(nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4)), columns=["0"], rows=["2"])
        tensor_parallel(GPT.tiny(), columns=["blocks.*.grow"], rows=["blocks.*.shrink"])

    Raises ValueError for a name that is no Linear layer, or whose split side has fewer values than there are processes.
    """
    device = device_of_this_process("tensor_parallel")
    plan = {}
    for argument, names, side, style in (
        ("columns", columns, "out_features", ColwiseParallel),
        ("rows", rows, "in_features", RowwiseParallel),
    ):
        for name in names:
            _check_split(model, argument, name, side)
            plan[name] = style()
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    return parallelize_module(model.to(device), mesh, plan)


def _check_split(model, argument, name, side):
    layers = {n: layer for n, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    matching = [layer for n, layer in layers.items() if n.count(".") == name.count(".") and fnmatch(n, name)]
    if not matching:
        raise ValueError(
            f"{argument} has {name!r}, which is no Linear layer of the model. It has: {', '.join(layers) or 'none'}."
        )
    nproc, smallest = dist.get_world_size(), min(getattr(layer, side) for layer in matching)
    if smallest % nproc:
        raise ValueError(
            f"{argument} has {name!r} with {side}={smallest}, which {nproc} processes cannot share evenly. Try a multiple of {nproc}."
        )


class Pipeline(NamedTuple):
    """This process's `part` of the model, and `step(X, y)`: forward and backward of one batch through all parts."""

    part: nn.Module
    step: callable


def pipeline(model, loss, num_microbatches=4):
    """Split the layers: each process holds a stretch of `model`, an nn.Sequential; a batch goes through in pieces.

    PyTorch's PipelineStage and ScheduleGPipe: all micro-batches forward, then all backward. Returns a `Pipeline`: give
    `part.parameters()` to an optimizer; `step(X, y)`, called on every process with the same batch, leaves the gradients
    of the mean loss in them and returns that loss. Cost: each step sends the activations at the borders, and their
    gradients back, which is little; but every process is idle for (n - 1) / (num_microbatches + n - 1) of the time.
    loss: callable(output, target) -> mean over rows. The rows of a batch must be a multiple of num_microbatches.

    Raises TypeError if the model is no Sequential, ValueError if it has fewer items than there are processes.
    """
    device = device_of_this_process("pipeline")
    rank, nproc = dist.get_rank(), dist.get_world_size()
    num_microbatches = whole("num_microbatches", num_microbatches)
    if not isinstance(model, nn.Sequential):
        raise TypeError(f"model must be an nn.Sequential, so that it can be cut between its items; got {type(model).__name__}.")
    if len(model) < nproc:
        raise ValueError(f"model has {len(model)} items, fewer than the {nproc} processes. Use fewer processes.")
    part = _stretch(model, rank, nproc).to(device)
    schedule = ScheduleGPipe(PipelineStage(part, rank, nproc, device), num_microbatches, loss_fn=loss)

    def step(X, y):
        if len(X) % num_microbatches:
            raise ValueError(f"X has {len(X)} rows, not a multiple of num_microbatches={num_microbatches}. Drop or add rows.")
        losses = []
        first = (X,) if rank == 0 else ()
        schedule.step(*first, **({"target": y, "losses": losses} if rank == nproc - 1 else {}))
        mean = torch.stack(losses).mean().detach() if losses else torch.zeros((), device=device)
        dist.broadcast(mean, src=nproc - 1)
        return mean.item()

    return Pipeline(part, step)


def _stretch(model, rank, nproc):
    """The items of process `rank`, cut so that each process has about the same number of weights, and one item at least."""
    ends = torch.tensor([sum(p.numel() for p in item.parameters()) for item in model]).cumsum(0)
    cuts = [0]
    for r in range(1, nproc):
        nearest = int((ends - ends[-1] * r / nproc).abs().argmin()) + 1
        cuts.append(min(max(nearest, cuts[-1] + 1), len(model) - (nproc - r)))
    return model[cuts[rank] : [*cuts, len(model)][rank + 1]]
