"""The group of processes that torchrun has started, and the device that belongs to this one."""

import os
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

_PATIENCE = timedelta(minutes=10)  # a process that waits longer for another has lost it


@contextmanager
def process_group():
    """Join the processes that torchrun started; gives this one's device, and leaves the group at the end.

    NCCL with one GPU for each process where there are enough of them, else gloo on the CPU. Without torchrun it is a
    group of one, so that the same program also runs as `python script.py`.

    >>> with process_group() as device:
    ...     dist.get_rank(), dist.get_world_size()
    (0, 1)
    """
    local_rank, local_size = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    gpus = torch.cuda.device_count() >= local_size
    device = torch.device("cuda", local_rank) if gpus else torch.device("cpu")
    if gpus:
        torch.cuda.set_device(device)
    started = {} if "RANK" in os.environ else {"store": dist.HashStore(), "rank": 0, "world_size": 1}
    dist.init_process_group("nccl" if gpus else "gloo", timeout=_PATIENCE, **started)
    try:
        yield device
    finally:
        dist.destroy_process_group()


def device_of_this_process(caller):
    """The device that `process_group` gave; raise RuntimeError, naming `caller`, outside of one."""
    if not dist.is_initialized():
        raise RuntimeError(
            f"{caller} needs a process group. Call it in a function started by distributed.launch, "
            "or under `with distributed.process_group():`."
        )
    on_gpu = dist.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")


def describe():
    """Who this process is, as plain data."""
    device = device_of_this_process("describe")
    return {"rank": dist.get_rank(), "nproc": dist.get_world_size(), "backend": dist.get_backend(), "device": device.type}
