"""What flows through each layer: the norm of its gradient, and how far one step moves it."""

import math

import torch

SAMPLE = 2**16  # weights of a tensor that are looked at for the update ratio: a large model needs no second copy of itself


def by_layer(model):
    """Return {name of the layer: its trainable parameters}. A layer is a module that holds parameters itself."""
    found = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found.setdefault(name.rpartition(".")[0] or "(model)", []).append(parameter)
    return found


def total_norm(gradients):
    """Return the norm of all gradients together: a number on a CPU, a tensor on a GPU, which need not wait for it."""
    if gradients[0].device.type == "cpu" and not hasattr(gradients[0], "full_tensor"):
        return math.hypot(*[torch.linalg.vector_norm(gradient).item() for gradient in gradients])
    norm = torch.nn.utils.get_total_norm(gradients)
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm


class Look:
    """One step under the glass: made after the backward pass, asked by `rows` after the optimizer's step."""

    def __init__(self, layers):
        self.layers = layers
        self.gradients = [[_norm(p.grad) for p in parameters if p.grad is not None] for parameters in layers.values()]
        self.before = [_sample(parameters) for parameters in layers.values()]

    def rows(self):
        """Return a list of dicts: layer, gradient_norm, weight_norm, update_ratio (norm of the step / norm of the weights)."""
        moved = [_norm(_sample(parameters) - old) for parameters, old in zip(self.layers.values(), self.before)]
        values = iter(torch.stack([*sum(self.gradients, []), *map(_norm, self.before), *moved]).tolist())  # one transfer
        gradient_norms = [math.hypot(*[next(values) for _ in norms]) for norms in self.gradients]
        weight_norms, moved = [next(values) for _ in self.layers], list(values)
        return [{"layer": name, "gradient_norm": gradient, "weight_norm": weight, "update_ratio": move / weight if weight else math.nan}
                for name, gradient, weight, move in zip(self.layers, gradient_norms, weight_norms, moved)]  # fmt: skip


def _sample(parameters):
    """A copy of some weights of each parameter, as one vector; of all, if they are few."""
    flat = [_whole(p.detach()).flatten() for p in parameters]
    return torch.cat([values[:: max(1, len(values) // SAMPLE)] for values in flat])


def _norm(tensor):
    return torch.linalg.vector_norm(_whole(tensor).float())


def _whole(tensor):
    """A tensor that FSDP2 has divided, put together (every process takes part); any other tensor as it is."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
