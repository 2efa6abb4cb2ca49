"""The learning-rate range test: one short run in which the rate grows until the loss does too."""

from dataclasses import dataclass, field

import numpy as np
import torch

from .._inputs import positive, whole
from . import arguments, batches, devices, objective
from .untouched import untouched

SMOOTHING = 0.9  # share of the past in the smoothed loss: it looks back about ten steps
DIVERGED = 4  # the run ends where the smoothed loss is this many times its lowest value
FELL = 0.01  # share of the first loss by which it must fall to count
MARGIN = 10  # the suggestion is the rate of the lowest loss, divided by this


@dataclass(frozen=True, eq=False)
class RangeTest:
    """What `lr_range_test` found.

    learning_rates, losses : rate and loss of each step done, shape (n_steps,); the loss is that before the step.
    smoothed : the losses, exponentially averaged.
    diverged_at : the rate at which the loss was beyond four times its lowest value, or not finite; None if it never was.
    suggestion : a tenth of the rate of the lowest smoothed loss; None if the loss never fell by one percent.
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray = field(repr=False)
    diverged_at: float | None
    suggestion: float | None

    def plot(self):
        """Return a picture of the losses over the rate, with an alt text of its numbers."""
        from course_lib.labs import figures  # a floor above: drawing is loaded when a picture is asked for

        fig, ax = figures.new(7, 3.5)
        ax.semilogx(self.learning_rates, self.losses, "-", color=figures.GREY, linewidth=0.8, label="loss of each batch")
        ax.semilogx(self.learning_rates, self.smoothed, "-", color=figures.BLUE, label="smoothed")
        if self.suggestion is not None:
            ax.axvline(self.suggestion, color=figures.GREEN, linestyle="--", label=f"suggestion {self.suggestion:.2g}")
        if self.diverged_at is not None:
            ax.axvline(self.diverged_at, color=figures.ORANGE, linestyle=":", label=f"diverged at {self.diverged_at:.2g}")
        finite = self.smoothed[np.isfinite(self.smoothed)]
        ax.set(xlabel="learning rate of the step", ylabel="loss", ylim=(0, 1.5 * max(finite[0], finite.min())))
        ax.legend()
        return figures.picture(fig, str(self))

    def __str__(self):
        rates = self.learning_rates
        said = f"Rates from {rates[0]:.2g} to {rates[-1]:.2g} in {len(rates)} steps. The smoothed loss starts at {self.smoothed[0]:.3g}"
        if self.suggestion is None:
            said += " and never falls by one percent: no suggestion. Try a larger end, or more steps."
        else:
            lowest = np.nanargmin(self.smoothed)
            said += f" and is lowest, {self.smoothed[lowest]:.3g}, at {rates[lowest]:.2g}. Suggestion: {self.suggestion:.2g}, a tenth of that."
        if self.diverged_at is None:
            return said + " It did not diverge."
        return said + f" Diverged at {self.diverged_at:.2g}."


def lr_range_test(model, data, *, loss=None, optimizer=None, start=1e-6, end=10.0, num_steps=100, batch_size=64, device=None,
                  random_state=0):  # fmt: skip
    """Train for `num_steps` steps whose rate grows from `start` to `end` by a constant factor; return a `RangeTest`.

    Too small a rate does nothing, too large a one diverges; between them the loss falls. The rate of the lowest loss is
    already at the edge, so the suggestion is a tenth of it (Smith 2017, arXiv 1506.01186). A factor of three to either
    side is within what one short run can tell, and the answer holds for this model, optimizer and batch size.

    model, optimizer and their state are put back as they were, and so are PyTorch's random numbers.

    data: (X, y) or a DataLoader, as for `fit`.   loss: callable(output, target); default as for `fit`.
    optimizer: over the parameters of `model`, in any state; its rate is set at each step. Default: AdamW.
    Raises ValueError or TypeError for bad arguments, by name, and ValueError for a loss that is not finite from the start.

    >>> X = torch.linspace(-1, 1, 64)[:, None]
    >>> found = lr_range_test(torch.nn.Linear(1, 1), (X, 3 * X[:, 0]), num_steps=60)
    >>> 1e-3 < found.suggestion < 1
    True
    """
    start, end = positive("start", start, example="1e-6", ndim=0), positive("end", end, example="10.0", ndim=0)
    if end <= start:
        raise ValueError(f"end must be above start; got {end!r} and {start!r}. Try end={1000 * start:g}.")
    rates = np.geomspace(start, end, whole("num_steps", num_steps, minimum=10))
    parameters, loss = arguments.trainable(model), arguments.function("loss", loss)
    device = devices.pick(device, model)
    shuffle = torch.Generator().manual_seed(whole("random_state", random_state, minimum=0))
    rows = batches.of("data", data, whole("batch_size", batch_size), device, parameters[0].dtype, shuffle)
    optimizer = torch.optim.AdamW(parameters) if optimizer is None else arguments.optimizer_of(optimizer, parameters, 1.0)
    with torch.enable_grad(), untouched(model, optimizer), devices.seeded(devices.global_generators(device), random_state):
        losses, smoothed = _climb(model.to(device).train(), rows, loss, optimizer, rates)
    diverged = _has_diverged(smoothed)
    lowest = np.nanargmin(smoothed)
    fell = smoothed[0] - smoothed[lowest]
    return RangeTest(
        learning_rates=rates[: len(losses)],
        losses=losses,
        smoothed=smoothed,
        diverged_at=float(rates[len(losses) - 1]) if diverged else None,
        suggestion=float(rates[lowest] / MARGIN) if fell > FELL * abs(smoothed[0]) else None,
    )


def _climb(model, rows, loss, optimizer, rates):
    """Take one step at each rate, until the loss has diverged; return losses and smoothed losses, (n_steps,)."""
    losses, smoothed, average = [], [], 0.0
    for step, (rate, batch) in enumerate(zip(rates, _without_end(rows), strict=False)):
        for group in optimizer.param_groups:
            group["lr"] = float(rate)
        optimizer.zero_grad()
        value = (loss or objective.default_loss(batch.y))(model(batch.X), batch.y)
        losses.append(value.item())
        if not np.isfinite(losses[0]):
            raise ValueError(
                f"the loss is {losses[0]} before the first step. Look at the model's output and the loss for one batch."
            )
        average = SMOOTHING * average + (1 - SMOOTHING) * losses[-1]
        smoothed.append(average / (1 - SMOOTHING ** (step + 1)))
        if _has_diverged(smoothed):
            break
        value.backward()
        optimizer.step()
    return np.array(losses), np.array(smoothed)


def _has_diverged(smoothed):
    return not smoothed[-1] <= DIVERGED * np.nanmin(smoothed)


def _without_end(rows):
    while True:
        yield from rows.epoch()
