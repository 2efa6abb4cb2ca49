"""Collects what each step measured, and asks the GPU for it only now and then: every question makes it wait."""

import math
import operator

import torch

from course_lib.training.distributed.fitting import total
from course_lib.training.divergence import TrainingDiverged


class Meter:
    """Loss, metrics, rate and gradient norm of each step, as tensors on the device until `flush` turns them into numbers.

    On a CPU a number costs nothing: `immediate` is true, and a bad loss is seen before it reaches the weights.
    """

    def __init__(self, history, device, world, scaled, explain):
        self.history, self.world, self.scaled, self.explain = history, world, scaled, explain
        self.immediate = device.type == "cpu" and world == 1
        self.begin_epoch()

    def begin_epoch(self):
        self.pending = {"loss": [], "gradient_norm": []}  # and one list for each metric
        self.rates, self.rows, self.so_far = [], [], {}

    def keep(self, sums, norm, rate, rows):
        """Note one step: `sums` holds its loss and metrics, all of them means over its `rows` rows."""
        for name, value in (*sums.items(), ("gradient_norm", norm)):
            self.pending.setdefault(name, []).append(float(value) if self.immediate else value)
        self.rates.append(rate)
        self.rows.append(rows)

    def flush(self):
        """Turn everything noted into numbers, and write it to the history; raises TrainingDiverged if one is not finite."""
        if not self.rates:
            return
        values = {name: self._numbers(values) for name, values in self.pending.items()}
        bad = next((i for i, (loss, norm) in enumerate(zip(values["loss"], values["gradient_norm"])) if not self.good(loss, norm)), None)
        until = len(self.rates) if bad is None else bad + 1
        for name, numbers in values.items():
            self.so_far.setdefault(name, []).extend(numbers[:until])
        self.history.add(steps={"loss": values["loss"][:until], "learning_rate": self.rates[:until],
                                "gradient_norm": values["gradient_norm"][:until]})  # fmt: skip
        self.pending, self.rates = {name: [] for name in self.pending}, []
        if bad is not None:
            step = self.history.n_steps - 1
            raise TrainingDiverged(self.history, step, self.explain(step))

    def good(self, loss, norm=0.0):
        """Whether both are finite; loss scaling leaves out a step whose gradients are not, so it may go on."""
        return math.isfinite(loss) and (self.scaled or math.isfinite(norm))

    def last_loss(self):
        """Return the loss of the last step; of several processes, that of this one's rows."""
        return float((self.pending["loss"] or self.so_far["loss"])[-1])

    def _numbers(self, values):
        if self.immediate:
            return values
        values = torch.stack([torch.as_tensor(value, dtype=torch.float32) for value in values])
        # The parts of a step are weighted so that their mean over the processes is the step's.
        return (total(values, self.world) / self.world).tolist()

    def means(self):
        """Return the means over the epoch: of loss and metrics over its rows, of the gradient norm over its steps."""
        rows = sum(self.rows)
        norms = {"gradient_norm": sum(self.so_far["gradient_norm"]) / len(self.rows)}
        sums = {name: sum(map(operator.mul, self.rows, values)) for name, values in self.so_far.items() if name not in norms}
        return {**{name: value / rows for name, value in sums.items()}, **norms}

    def state_dict(self):
        return {"so_far": self.so_far, "rows": self.rows}

    def load_state_dict(self, state):
        self.so_far, self.rows = state["so_far"], state["rows"]
