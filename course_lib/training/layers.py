"""What flows through each layer: the norm of its gradient, and how far one step moves it."""

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
    """Norm of all gradients together."""
    if gradients[0].device.type == "cpu" and not hasattr(gradients[0], "full_tensor"):  # half the time of PyTorch's own function, which is made for many tensors on a GPU
        return _norm(gradients)
    norm = torch.nn.utils.get_total_norm(gradients)
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm


class Look:
    """One step under the glass: made after the backward pass, asked by `rows` after the optimizer's step."""

    def __init__(self, layers):
        self.layers = layers
        self.before = {name: [_some(p) for p in parameters] for name, parameters in layers.items()}
        self.gradients = {name: _norm([p.grad for p in parameters]) for name, parameters in layers.items()}

    def rows(self):
        """Return a list of dicts: layer, gradient_norm, weight_norm, update_ratio (norm of the step / norm of the weights)."""
        values = []
        for name, parameters in self.layers.items():
            weights = _norm(self.before[name])
            moved = _norm([_some(p) - old for p, old in zip(parameters, self.before[name])])
            values += [self.gradients[name], weights, moved / weights]
        values = torch.stack(values).view(-1, 3).tolist()  # one transfer for all
        names = ("gradient_norm", "weight_norm", "update_ratio")
        return [{"layer": name, **dict(zip(names, three))} for name, three in zip(self.layers, values)]


def _some(parameter):
    values = _local(parameter.detach()).flatten()
    return values[:: max(1, len(values) // SAMPLE)].clone()


def _norm(tensors):
    """Norm over several tensors together; the gradient of a parameter that took no part counts as zero."""
    norms = [torch.linalg.vector_norm(_local(tensor)).float() for tensor in tensors if tensor is not None]
    return torch.linalg.vector_norm(torch.stack(norms)) if norms else torch.zeros(())


def _local(tensor):
    """This process's part of a tensor that FSDP has divided; any other tensor as it is."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
