"""The loss and the metrics that `fit` takes where none are named."""

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
