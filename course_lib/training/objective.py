"""The loss and the metrics that `fit` takes where none are named."""

import numpy as np
import torch
import torch.nn.functional as F


def default_loss(target):
    """Return cross-entropy for whole numbers (classes), the mean squared error for real ones."""
    return squared_error if target.is_floating_point() else cross_entropy


def default_metrics(target):
    """Return {"accuracy": accuracy} for whole numbers (classes), no metric for real ones."""
    return {} if target.is_floating_point() else {"accuracy": accuracy}


def cross_entropy(output, target):
    """Mean cross-entropy of logits whose classes stand in the last axis (a GPT's) or in the second (PyTorch's own rule).

    Targets may also be probabilities, in the shape of `output`: what mixup makes.
    """
    if output.ndim > 2 and not target.is_floating_point() and output.shape[:-1] == target.shape:
        output, target = output.flatten(0, -2), target.flatten()
    if output.ndim == target.ndim > 1 and not target.is_floating_point():
        raise ValueError(f"the model's output has shape {tuple(output.shape)}, so y must have {tuple(output.shape[:1])}; "
                         f"got {tuple(target.shape)}. Pass y[:, 0].")  # fmt: skip
    return F.cross_entropy(output, target)


def squared_error(output, target):
    """Mean squared error. An output (m, 1) is held against a target (m,), which PyTorch would spread to (m, m)."""
    if output.shape != target.shape:
        if output.numel() != target.numel():
            raise ValueError(f"the model's output has shape {tuple(output.shape)}, y has {tuple(target.shape)}. Make them equal.")
        output = output.reshape(target.shape)
    return F.mse_loss(output, target)


def accuracy(output, target):
    """Share of rows whose largest logit is that of the target; of targets that are probabilities the largest counts."""
    axis = 1 if output.ndim == target.ndim + 1 and output.shape[:-1] != target.shape else -1
    if target.is_floating_point():
        target = target.argmax(-1)
    return (output.argmax(axis) == target).mean(dtype=torch.float32)


def check_pairs(name, function, output, target):
    """Raise ValueError if `function` holds each row's output against every row's target.

    PyTorch spreads (m, 1) and (m,) to (m, m), and says nothing. A function that was written for these shapes gives
    the same for two flat ones, or cannot take them.
    """
    if not isinstance(output, torch.Tensor) or output.ndim == target.ndim or output.numel() != target.numel():
        return
    output = output.detach().float()
    with torch.no_grad():
        try:
            paired = function(output.flatten(), target.flatten())
        except Exception:  # whatever a function raises that picks a column
            return
        spread = function(output, target)
    if not np.isclose(float(spread), float(paired), rtol=1e-3, equal_nan=True):
        raise ValueError(
            f"{name} got outputs of shape {tuple(output.shape)} and targets of shape {tuple(target.shape)}, and compares each "
            "with all of the others. Pass y in the shape of the output."
        )
