"""Where a model is trained and in which numbers: the device, autocast, loss scaling, memory, random states."""

import contextlib
import functools
import os

import psutil
import torch

from course_lib._inputs import one_of

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick(device=None, model=None):
    """Return the `torch.device` of a name, or the best one here if `device` is None.

    None means: where `model` already stands if that is a GPU, otherwise an NVIDIA (or AMD) GPU, an Apple GPU, the CPU.
    Raises ValueError for a name that PyTorch does not know, and for a device that is not in this machine.

    >>> pick("cpu")
    device(type='cpu')
    """
    if device is None:
        return _best(model)
    try:
        device = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(f"device must be 'cpu', 'cuda', 'cuda:1', 'mps' or None; got {device!r}.") from None
    advice = f"This PyTorch ({torch.__version__}) sees {_seen()}. Use one of these, or device=None for the best of them."
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device='{device}' is not there. {advice}")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device='mps' is not there: it needs a Mac with Apple silicon. {advice}")
    if device.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device must be 'cpu', 'cuda', 'cuda:1', 'mps' or None; got '{device}'.")
    return torch.device("cuda", torch.cuda.current_device()) if device.type == "cuda" and device.index is None else device


def _best(model):
    here = next(model.parameters(), torch.empty(0)).device if model is not None else torch.device("cpu")
    if here.type not in ("cpu", "meta"):
        return here
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _seen():
    gpus = [f"'cuda:{i}' ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    return ", ".join(["'cpu'", *gpus, *(["'mps'"] if torch.backends.mps.is_available() else [])])


def autocast(precision, device):
    """Return a function that opens the autocast context of one forward pass; "fp32" opens none."""
    dtype = PRECISIONS[one_of("precision", precision, list(PRECISIONS))]
    if dtype is None:
        return contextlib.nullcontext
    return lambda: torch.autocast(device.type, dtype)


def loss_scaler(precision, device):
    """Return the `GradScaler` that fp16 needs: its smallest gradients would be rounded to zero. None otherwise."""
    return torch.amp.GradScaler(device.type) if precision == "fp16" else None


def memory_mib(device):
    """Peak memory in MiB: what PyTorch took on a GPU since `reset_peak`, what the whole process holds on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return _process(os.getpid()).memory_info().rss / 2**20


@functools.cache  # finding the process takes longer than asking it
def _process(pid):
    return psutil.Process(pid)


def reset_peak(device):
    """Begin to measure the peak of `memory_mib` anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def global_generators(device):
    """Return the generators from which layers such as dropout draw on this device."""
    if device.type != "cuda":
        return [torch.default_generator]
    torch.cuda.init()
    return [torch.default_generator, torch.cuda.default_generators[device.index]]


@contextlib.contextmanager
def seeded(generators, seed):
    """Seed PyTorch's global generators inside the block, and put them back as they were after it."""
    before = [generator.get_state() for generator in generators]
    try:
        for generator in generators:
            generator.manual_seed(seed)
        yield
    finally:
        for generator, state in zip(generators, before):
            generator.set_state(state)
