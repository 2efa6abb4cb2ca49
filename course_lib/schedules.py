"""Learning-rate schedules: each function returns a function from step (0, 1, 2, ...) to rate.

The returned functions take integers or arrays of them, so `cosine(0.1, 100)(np.arange(100))` is the whole curve,
and a schedule is what `descend(objective, start, schedule)` accepts in place of a number.
"""

import numpy as np

from ._inputs import not_negative, positive, whole


def constant(rate):
    """Return `rate` at every step.

    >>> constant(0.1)(np.arange(3))
    array([0.1, 0.1, 0.1])
    """
    rate = positive("rate", rate, example="0.1")
    return lambda step: rate + 0.0 * np.asarray(step)


def step_decay(rate, factor, every):
    """Multiply the rate by `factor` after each `every` steps (torch's StepLR).

    >>> step_decay(0.8, 0.5, every=2)(np.arange(5))
    array([0.8, 0.8, 0.4, 0.4, 0.2])
    """
    rate, factor = positive("rate", rate, example="0.1"), positive("factor", factor, example="0.5")
    every = whole("every", every)
    return lambda step: rate * factor ** (np.asarray(step) // every)


def cosine(rate, num_iterations, final=0.0):
    """Fall from `rate` at step 0 to `final` at step `num_iterations` along half a cosine, and stay there.

    Torch's CosineAnnealingLR, which rises again after its end; this one does not.

    >>> cosine(1.0, 4)(np.array([0, 2, 4, 9])).round(12)
    array([1. , 0.5, 0. , 0. ])
    """
    rate, final = positive("rate", rate, example="0.1"), not_negative("final", final, example="0.0")
    num_iterations = whole("num_iterations", num_iterations)
    return lambda step: _half_cosine(rate, final, np.minimum(step, num_iterations) / num_iterations)


def restarts(rate, period, final=0.0):
    """Fall along half a cosine over `period` steps, then jump back to `rate` and fall again.

    Loshchilov and Hutter, "SGDR" (2017); torch's CosineAnnealingWarmRestarts.

    >>> restarts(1.0, 2)(np.arange(5)).round(12)
    array([1. , 0.5, 1. , 0.5, 1. ])
    """
    rate, final = positive("rate", rate, example="0.1"), not_negative("final", final, example="0.0")
    period = whole("period", period)
    return lambda step: _half_cosine(rate, final, (np.asarray(step) % period) / period)


def warm_up(schedule, steps):
    """Rise in a straight line over `steps` steps to `schedule`, which starts when the rise is over.

    Step 0 takes 1 / (steps + 1) of the schedule's first rate: no step is wasted on a rate of zero, and step
    number `steps` is the schedule's own step 0.

    >>> warm_up(constant(1.0), 3)(np.arange(5))
    array([0.25, 0.5 , 0.75, 1.  , 1.  ])
    """
    if not callable(schedule):
        raise TypeError(f"schedule must be a function of the step; got {schedule!r}. Try constant({schedule!r}).")
    steps = whole("steps", steps, minimum=0)

    def rate(step):
        step = np.asarray(step)
        return np.minimum((step + 1) / (steps + 1), 1.0) * schedule(np.maximum(step - steps, 0))

    return rate


def _half_cosine(rate, final, done):
    return final + (rate - final) * (1 + np.cos(np.pi * done)) / 2
