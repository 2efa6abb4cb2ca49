"""Try something out on a model and leave it as it was."""

import contextlib

import torch
from torch.utils._pytree import tree_map


@contextlib.contextmanager
def untouched(model, optimizer=None):
    """Put back, after the block, all that training changes: weights, buffers, gradients, modes, device, optimizer.

    The copies lie in main memory, so that they take none of a GPU's.
    """
    device = next(model.parameters()).device
    tensors = [_copy(tensor) for tensor in _tensors(model)]
    gradients = [p.grad for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    state = None if optimizer is None else tree_map(_copy, optimizer.state_dict())
    try:
        for p in model.parameters():
            p.grad = None
        yield
    finally:
        for p in model.parameters():
            p.grad = None
        model.to(device)
        with torch.no_grad():
            for tensor, before in zip(_tensors(model), tensors, strict=True):
                tensor.copy_(before)
        for p, gradient in zip(model.parameters(), gradients, strict=True):
            p.grad = gradient
        for module, training in zip(model.modules(), modes, strict=True):
            module.training = training
        if optimizer is not None:
            optimizer.load_state_dict(state)


def _tensors(model):
    return [*model.parameters(), *model.buffers()]


def _copy(value):
    return value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else value
