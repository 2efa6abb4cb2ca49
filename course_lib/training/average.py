"""Exponential moving average of weights (EMA)."""

import contextlib

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """The mean of all weights so far, the weights s steps ago counting decay^s.

    sum_s (1 - decay) decay^(t - s) theta_s / (1 - decay^t): the mean starts from zero and is corrected for that, as
    Adam does with its own (Kingma and Ba 2015, section 3), so that the first steps do not count for ever.
    """

    def __init__(self, parameters, decay):
        self.parameters = parameters
        self.means = [torch.zeros_like(p, requires_grad=False) for p in parameters]
        self.decay, self.steps, self._update = decay, 0, get_ema_multi_avg_fn(decay)

    def update(self):
        """Count in the weights as they are after a step."""
        self._update(self.means, [p.detach() for p in self.parameters], None)
        self.steps += 1

    @torch.no_grad()
    def put(self):
        """Give the model the averaged weights."""
        for parameter, mean in zip(self.parameters, self.means):
            parameter.copy_(mean / (1 - self.decay**self.steps))

    @contextlib.contextmanager
    def applied(self):
        """Give the model the averaged weights inside the block."""
        if self.steps == 0:
            yield
            return
        kept = [p.detach().clone() for p in self.parameters]
        self.put()
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, values in zip(self.parameters, kept):
                    parameter.copy_(values)

    def state_dict(self):
        return {"means": self.means, "steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]
        for mean, values in zip(self.means, state["means"]):
            mean.copy_(values)
