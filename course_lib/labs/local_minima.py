"""Chapter 06: live figures about local minima and learning rates (B 8.3.2.2).

    from course_lib.labs.local_minima import RippleLab

    RippleLab()       # a bowl with ripples: which schedules leave a local minimum, and from how many starts
"""

import functools

import ipywidgets
import numpy as np

from course_lib import schedules
from course_lib.descent import descend
from course_lib.labs import figures
from course_lib.labs.engine import Lab
from course_lib.objectives import RippledBowl

STEPS = 200
STARTS = np.linspace(-4, 4, 32)  # none at a dip or on a crest
JUMPS = 20  # of the path are drawn as lines; all of them would cover the landscape
N_ROWS, SPREAD = 64, 3.0  # rows of data behind the bowl, and their standard deviation: the noise of a minibatch
RATES = np.geomspace(0.1, 16, 18)  # of the sweep, in units of 2/L
SCHEDULES = {
    "constant": schedules.constant,
    "cosine decay": lambda rate: schedules.cosine(rate, STEPS),
    "restarts, four times": lambda rate: schedules.restarts(rate, STEPS // 4),
    "warm-up, then decay": lambda rate: schedules.warm_up(schedules.cosine(rate, STEPS * 9 // 10), STEPS // 10),
}


@functools.lru_cache(maxsize=64)
def bowl(height, n=1):
    """Return n bowls side by side as one objective: coordinate j is a problem of its own, with its own noise."""
    rows = np.random.default_rng(0).normal(scale=SPREAD, size=(N_ROWS, n))
    return RippledBowl(rows - rows.mean(0), height)


@functools.lru_cache(maxsize=256)
def arrivals(schedule, batch_size, height):
    """Return the share of STARTS that end in the global dip for each of RATES, shape (18,)."""
    many = bowl(height, len(STARTS))
    start = np.tile(STARTS, (len(RATES), 1))
    shape, unit = SCHEDULES[schedule](1.0), RATES * 2 / many.lipschitz
    run = descend(many, start, lambda step: shape(step) * unit, num_iterations=STEPS,
                  batch_size=None if batch_size == N_ROWS else batch_size, random_state=0)  # fmt: skip
    return np.mean(np.abs(run.theta) < 0.5, axis=-1)


@functools.lru_cache(maxsize=256)
def ripple(learning_rate, schedule="constant", batch_size=N_ROWS, height=0.5, start=3.3):
    """Descend the rippled bowl for 200 steps from one start, `learning_rate` in units of 2/L.

    Returned: `theta` (201,), where it was; `losses` (201,); `rates` (200,), in units of 2/L; `landscape` (2, 601); `dip`,
    the number of the dip in which it ends, 0 for the global one; `swept` (18,), the share of 32 starts that end in the
    global dip for each of RATES; `share`, the same at this rate, between its neighbours in the sweep.
    """
    one = bowl(height)
    shape, unit = SCHEDULES[schedule](learning_rate), 2 / one.lipschitz
    run = descend(one, [start], lambda step: shape(step) * unit, num_iterations=STEPS,
                  batch_size=None if batch_size == N_ROWS else batch_size, random_state=0)  # fmt: skip
    x = np.linspace(-4.6, 4.6, 601)
    swept = arrivals(schedule, batch_size, height)
    return {
        "theta": run.iterates[:, 0],
        "losses": run.losses,
        "rates": shape(np.arange(STEPS)),
        "landscape": np.stack([x, one.value(x[:, None])]),
        "dip": int(np.round(run.theta[0])),
        "swept": swept,
        "share": float(np.interp(np.log(learning_rate), np.log(RATES), swept)),
    }


class RippleLab(Lab):
    """Descent on a bowl with ripples, live: rate, schedule, minibatch noise, height of the ripples and start.

    >>> lab = RippleLab(learning_rate=0.5)          # half of the largest stable rate: it stays where it starts
    >>> lab.arrays["dip"]
    3
    >>> lab.controls["schedule"].value = "cosine decay"
    >>> lab.arrays["dip"]                           # decay alone leaves no dip
    3
    >>> lab.controls["learning_rate"].value = 6     # a large rate that decays does
    >>> lab.arrays["dip"]
    0
    """

    title = "Descent on a bowl with ripples: the path over the landscape, its learning rate step by step, and the share of 32 starts that end in the global dip for every learning rate"
    width, height = 8.4, 4.2
    slow_controls = ("height",)

    def make_controls(self):
        return {
            "learning_rate": ipywidgets.FloatLogSlider(0.5, min=-1, max=1.2, step=0.02, readout_format=".2f", description="learning rate ÷ (2/L)"),
            "schedule": ipywidgets.Dropdown(options=list(SCHEDULES), description="schedule"),
            "batch_size": ipywidgets.SelectionSlider(options=[("1 row", 1), ("4 rows", 4), ("16 rows", 16), ("all 64", N_ROWS)], value=N_ROWS, description="batch size"),
            "height": ipywidgets.FloatSlider(0.5, min=0, max=1.5, step=0.05, description="height of the ripples"),
            "start": ipywidgets.FloatSlider(3.3, min=-4, max=4, step=0.1, description="start θ₀"),
        }

    compute = staticmethod(ripple)

    def build(self, fig):
        grid = fig.add_gridspec(2, 2, width_ratios=[1.35, 1])
        land, rate, sweep = fig.add_subplot(grid[:, 0]), fig.add_subplot(grid[0, 1]), fig.add_subplot(grid[1, 1])
        land.set(xlim=(-4.6, 4.6), ylim=(-0.5, 13), xlabel="θ", title="Landscape J(θ) and path")
        rate.set(xlim=(0, STEPS), ylim=(0.003, 20), yscale="log", xlabel="step", title="Learning rate, in units of 2/L")
        sweep.set(xlim=(RATES[0], RATES[-1]), ylim=(-0.04, 1.04), xscale="log", xlabel="learning rate", title="Starts that end in the global dip")
        rate.set_yticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "2/L", "10"])
        sweep.set_xticks([0.1, 1, 10], ["0.1", "2/L", "10"])
        sweep.set_yticks([0, 0.5, 1], ["none", "half", "all"])
        for ax in (rate, sweep):
            ax.minorticks_off()
        rate.axhline(1, color=figures.INK, linewidth=1, linestyle="--")
        sweep.axvline(1, color=figures.INK, linewidth=1, linestyle="--")
        self.land = self.slow(land.plot([], [], "-", color=figures.BLUE, linewidth=1.4)[0])
        land.plot(0, 0, "*", color=figures.INK, markersize=13)
        self.path = self.live(land.plot([], [], "o", color=figures.ORANGE, markersize=2.6)[0])
        self.jumps = self.live(land.plot([], [], "-", color=figures.ORANGE, linewidth=0.7)[0])
        self.first = self.live(land.plot([], [], "o", color=figures.INK, fillstyle="none", markersize=9)[0])
        self.last = self.live(land.plot([], [], "D", color=figures.ORANGE, markeredgecolor="white", markersize=9)[0])
        self.rates = self.live(rate.plot([], [], "-", color=figures.ORANGE)[0])
        self.swept = self.live(sweep.plot([], [], "o-", color=figures.BLUE, markersize=3)[0])
        self.here = self.live(sweep.plot([], [], "D", color=figures.ORANGE, markeredgecolor="white", markersize=8, clip_on=False)[0])

    def draw_slow(self, arrays):
        self.land.set_data(*arrays["landscape"])

    def draw(self, arrays):
        theta, losses = arrays["theta"], arrays["losses"]
        self.path.set_data(theta, losses)
        self.jumps.set_data(theta[:JUMPS], losses[:JUMPS])
        self.first.set_data(theta[:1], losses[:1])
        self.last.set_data(theta[-1:], losses[-1:])
        self.rates.set_data(np.arange(STEPS), np.maximum(arrays["rates"], 1e-4))
        self.swept.set_data(RATES, arrays["swept"])
        self.here.set_data([self.values["learning_rate"]], [arrays["share"]])

    def describe(self, values, arrays):
        dip = arrays["dip"]
        where = "in the <b>global</b> dip" if dip == 0 else f"in the dip near θ = {dip}, a <b>local</b> minimum"
        if abs(arrays["theta"][-1] - arrays["theta"][-2]) > 0.02:
            where = f"at θ = {arrays['theta'][-1]:.2f} and has <b>not come to rest</b>"
        if values["height"] * (2 * np.pi) ** 2 < 1:  # then the slope 1 of the bowl is the stronger one everywhere
            where = f"at θ = {arrays['theta'][-1]:.2f}; with ripples so low there is only <b>one minimum</b>"
        return (
            f"From θ = {values['start']:.1f} it ends after {STEPS} steps {where}. Of 32 starts, about "
            f"{100 * arrays['share']:.0f} % end in the global dip at this rate, and {100 * arrays['swept'].max():.0f} % at the best one."
        )
