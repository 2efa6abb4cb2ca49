"""A loss or gradient that is NaN or infinite: what happened, where, and what to try."""

import math

from course_lib.descent.errors import DivergenceError


class TrainingDiverged(DivergenceError):
    """The loss of a network, or its gradient, became NaN or infinite. `history`: the run until then; `step`: where (from 0)."""

    def __init__(self, history, step, why):
        self.history, self.step, self.largest_stable_rate = history, step, math.nan
        FloatingPointError.__init__(self, why)


def explain(step, epoch, losses, norms, rate, precision, clipped):
    """Return the sentences of `History.why`. `losses`, gradient `norms`: of the last steps up to the bad one."""
    bad = f"loss became {losses[-1]}" if not math.isfinite(losses[-1]) else f"norm of the gradient became {norms[-1]}"
    said = [f"The {bad} at step {step} (epoch {epoch}), learning rate {rate:.3g}."]
    if len(losses) == 1:
        said.append("It was the first step, before any update: look at the inputs, at the initial weights, and for a "
                    "logarithm, a division or a root in the model or the loss.")  # fmt: skip
    else:
        said.append(f"The losses before it: {_few(losses[:-1])}; gradient norms: {_few(norms[:-1])}.")
    tries = [f"a learning rate ten times smaller ({rate / 10:.2g})", "a warm-up"]
    if not clipped:
        tries.append("clip_norm=1.0")
    if precision == "fp16":
        tries.insert(0, 'precision="bf16", whose numbers reach as far as those of fp32')
    return " ".join([*said, f"Try {', '.join(tries[:-1])} or {tries[-1]}."])


def _few(values):
    return ", ".join(f"{value:.3g}" for value in values[-3:])
