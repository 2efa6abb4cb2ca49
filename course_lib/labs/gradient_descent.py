"""Live figures of chapter 02: the path of gradient descent on a loss surface, and where a penalty moves its end.

The surface is that of real data, small enough to draw: disease progression (diabetes data, centred) explained by two
standardised columns, body mass index and blood pressure, with one parameter each.
"""

import functools

import ipywidgets
import numpy as np
from matplotlib.collections import PolyCollection

from course_lib.datasets import load_diabetes
from course_lib.descent import ClosedFormPath, descend
from course_lib.labs import figures
from course_lib.labs.engine import Lab
from course_lib.objectives import L1, L2, MeanSquaredError

START = np.array([-45.0, -42.0])
N_STEPS = 100
N_ROWS = 442
RATES = np.geomspace(0.01, 2.1, 140)  # of the sweep, as parts of 2/L
# From pale to strong blue, in steps that rounding to 5 bits (png.py) leaves alone.
SHADES = [f"#{0xF7 - 16 * k:02x}{0xF7 - 8 * k:02x}{0xFF - 8 * (k // 2):02x}" for k in range(11)]
LOSS_SHOWN = (1e-10, 1e3)
ELLIPSES = 4.0 ** np.arange(2, -9, -1)  # levels drawn, as parts of the loss above the minimum at START


@functools.cache
def columns():
    """Return X (442, 2), body mass index and blood pressure, standardised, and y (442,), centred."""
    data = load_diabetes()
    X = data.X[:, [data.feature_names.index("bmi"), data.feature_names.index("bp")]]
    return (X - X.mean(0)) / X.std(0), data.y - data.y.mean()


@functools.lru_cache(maxsize=256)
def surface(scale=1.0):
    """Return (objective, closed-form path) for the two columns, the second multiplied by `scale`."""
    X, y = columns()
    objective = MeanSquaredError(X * [1.0, scale], y)
    return objective, ClosedFormPath(objective)


def descent(learning_rate, momentum=0.0, scale=1.0, steps=N_STEPS, batch_size=N_ROWS):
    """Run 100 steps from START and return what the figure draws.

    `learning_rate` is in units of 2/L, the largest rate at which plain descent is stable. Returned: `iterates`
    (101, 2); `excess` (101,), the loss above its minimum as a part of that at the start; `sweep` (140,), the same
    after `steps` steps of full-batch descent at each of RATES; `ellipses` (11, 96, 2); `minimizer` (2,); `limit`, the
    largest stable rate in the same units; `factor`, by which the distance to the minimum shrinks (or grows) per step
    in the end; `condition`, the condition number; `rate`, the learning rate itself; `reached`, excess after `steps`.
    """
    objective, path = surface(scale)
    unit = path.largest_stable_rate
    rate, steps_taken = learning_rate * unit, np.arange(N_STEPS + 1)
    eigenvalues, vectors = np.linalg.eigh(objective.hessian())
    lowest, highest = objective.value(path.minimizer), objective.value(START)
    if batch_size == N_ROWS:
        iterates = path.theta(steps_taken, rate, momentum, START)
        losses = path.losses(steps_taken, rate, momentum, START)
    else:
        run = descend(objective, START, rate, num_iterations=N_STEPS, method="momentum", momentum=momentum,
                      batch_size=batch_size, random_state=0)  # fmt: skip
        iterates, losses = run.iterates, run.losses
    sweep = path.losses(np.array(steps), RATES * unit, momentum, START)
    part_of_start = lambda loss: (loss - lowest) / (highest - lowest)  # noqa: E731
    excess = part_of_start(losses)
    return {
        "iterates": iterates,
        "excess": excess,
        "sweep": part_of_start(sweep),
        "ellipses": _ellipses(path.minimizer, eigenvalues, vectors, highest - lowest),
        "minimizer": path.minimizer,
        "limit": 1 + momentum,
        "factor": max(_shrinking(rate * eigenvalue, momentum) for eigenvalue in eigenvalues),
        "condition": eigenvalues[-1] / eigenvalues[0],
        "rate": rate,
        "reached": excess[min(steps, len(excess) - 1)],
    }


def _ellipses(center, eigenvalues, vectors, height):
    """Where a quadratic lies ELLIPSES * height above its minimum, shape (11, 96, 2): 1/2 sum l_i x_i^2 = that."""
    angle = np.linspace(0, 2 * np.pi, 96)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    radii = np.sqrt(2 * ELLIPSES[:, None, None] * height / eigenvalues)
    return center + (circle * radii) @ vectors.T


def _shrinking(rate_times_curvature, momentum):
    """The factor per step of heavy-ball descent along one eigenvector: the largest root of z^2 - (1 + mu - a) z + mu."""
    return np.abs(np.roots([1.0, -(1 + momentum - rate_times_curvature), momentum])).max()


def verdict(learning_rate, momentum, factor):
    """Say in one word what the run does, from its rate (in 2/L) and its factor per step."""
    if abs(factor - 1) < 1e-9:
        return "bounces forever"
    if factor > 1:
        return "diverges"
    if factor > 0.97:
        return "crawls"
    if 2 * learning_rate > 1 + momentum - 2 * np.sqrt(momentum):  # the root of the steepest direction is no longer positive
        return "oscillates and converges"
    return "converges"


class DescentLab(Lab):
    """Gradient descent on a loss surface, live: rate, momentum, scale of one column, steps and batch size.

    >>> lab = DescentLab()
    >>> lab.controls["learning_rate"].value = 1.0      # exactly 2/L
    >>> "bounces forever" in lab.alt
    True
    """

    title = "Gradient descent on the loss of two parameters: the path on the surface, its loss step by step, and the loss for every learning rate"
    width, height = 8.4, 4.2
    slow_controls = ("scale",)

    def make_controls(self):
        return {
            "learning_rate": ipywidgets.FloatLogSlider(0.1, min=-2, max=0.3, step=0.01, readout_format=".3f", description="learning rate ÷ (2/L)"),
            "momentum": ipywidgets.FloatSlider(0, min=0, max=0.95, step=0.05, description="momentum"),
            "scale": ipywidgets.FloatLogSlider(1, min=0, max=1, step=0.02, readout_format=".2f", description="scale of column 2"),
            "batch_size": ipywidgets.SelectionSlider(options=[("1", 1), ("4", 4), ("16", 16), ("64", 64), ("all 442", N_ROWS)], value=N_ROWS, description="batch size"),
            "steps": ipywidgets.IntSlider(40, min=1, max=N_STEPS, description="steps"),
        }

    compute = staticmethod(descent)

    def build(self, fig):
        grid = fig.add_gridspec(2, 2, width_ratios=[1.35, 1])
        plane, curve, sweep = fig.add_subplot(grid[:, 0]), fig.add_subplot(grid[0, 1]), fig.add_subplot(grid[1, 1])
        plane.set(xlim=(-70, 110), ylim=(-65, 75), xlabel="θ₁ (body mass index)", ylabel="θ₂ (blood pressure)", title="Loss surface and path")
        curve.set(xlim=(0, N_STEPS), ylim=(1e-10, 1e3), yscale="log", xlabel="step", title="Loss above its minimum")
        sweep.set(xlim=(RATES[0], RATES[-1]), ylim=(1e-10, 1e3), xscale="log", yscale="log", xlabel="learning rate", title="After these steps, for every learning rate")
        sweep.set_xticks([0.01, 0.1, 0.5, 1], ["0.01 × 2/L", "0.1", "0.5", "2/L"])
        for ax in (curve, sweep):
            ax.set_yticks([1e-8, 1e-4, 1], ["10⁻⁸", "10⁻⁴", "start"])
            ax.minorticks_off()
        plane.grid(False)
        self.ellipses = self.slow(plane.add_collection(PolyCollection([], facecolors=SHADES, edgecolors="#7fa3c4", linewidths=0.6), autolim=False))
        self.minimum = self.slow(plane.plot([], [], "*", color=figures.INK, markersize=11)[0])
        plane.plot(*START, "o", color=figures.INK, fillstyle="none", markersize=9, zorder=5)
        path = {"color": figures.ORANGE, "linewidth": 1.6, "solid_joinstyle": "round"}
        self.path = self.live(plane.plot([], [], "o-", markersize=3.2, **path)[0])
        self.here = self.live(plane.plot([], [], "D", color=figures.ORANGE, markeredgecolor="white", markersize=8)[0])
        self.later = self.live(curve.plot([], [], "-", color=figures.ORANGE, alpha=0.35, linewidth=1.2)[0])
        self.loss = self.live(curve.plot([], [], "-", color=figures.ORANGE, linewidth=2.2)[0])
        self.loss_here = self.live(curve.plot([], [], "D", color=figures.ORANGE, markeredgecolor="white", markersize=8, clip_on=False)[0])
        self.limit = self.live(sweep.plot([], [], "--", color=figures.INK, linewidth=1.1)[0])
        self.swept = self.live(sweep.plot([], [], "-", color=figures.BLUE)[0])
        self.rate_here = self.live(sweep.plot([], [], "D", color=figures.ORANGE, markeredgecolor="white", markersize=8, clip_on=False)[0])

    def draw_slow(self, arrays):
        self.ellipses.set_verts(arrays["ellipses"])
        self.minimum.set_data(*arrays["minimizer"][:, None])

    def draw(self, arrays):
        steps, rate = self.values["steps"], self.values["learning_rate"]
        iterates, excess = _drawable(arrays["iterates"], 1e4), _drawable(arrays["excess"], 1e9)
        self.path.set_data(*iterates[: steps + 1].T)
        self.here.set_data(*iterates[steps][:, None])
        self.later.set_data(np.arange(steps, len(excess)), excess[steps:])
        self.loss.set_data(np.arange(steps + 1), excess[: steps + 1])
        self.loss_here.set_data([steps], np.clip(excess[[steps]], *LOSS_SHOWN))
        self.limit.set_data([arrays["limit"]] * 2, [1e-12, 1e6])
        self.swept.set_data(RATES, _drawable(arrays["sweep"], 1e9))
        self.rate_here.set_data([rate], np.clip(excess[[steps]], *LOSS_SHOWN))

    def describe(self, values, arrays):
        word = verdict(values["learning_rate"], values["momentum"], arrays["factor"])
        return (
            f"With η = {arrays['rate']:.3g} the path <b>{word}</b>: in the long run each step multiplies the distance to the "
            f"minimum by {arrays['factor']:.3f}. After {values['steps']} steps {_part(arrays['reached'])} of the loss above the "
            f"minimum is left. Condition number of the surface: {arrays['condition']:.1f}."
        )


def _drawable(values, largest):
    """Values beyond `largest` (a diverging run) as NaN, which Matplotlib leaves out."""
    return np.where(np.abs(values) < largest, values, np.nan)


def _part(excess):
    """An excess loss in words that can be read aloud."""
    if not excess < 1e6:
        return "more than a million times"
    if excess >= 10:
        return f"{excess:,.0f} times"
    return f"{100 * excess:.3g} %" if excess > 1e-5 else "less than a thousandth of a percent"


# --- A penalty: where the minimum goes ------------------------------------------------------------------------------

PENALTIES = {"L2 (squared length)": L2, "L1 (sum of sizes)": L1}
ALPHAS = np.geomspace(0.01, 100, 81)


@functools.cache
def minima(penalty):
    """Where J + alpha R is lowest for each of ALPHAS, shape (81, 2): 81 runs of descent as one computation."""
    X, y = columns()
    objective = MeanSquaredError(X, y, penalty=PENALTIES[penalty](ALPHAS))
    return descend(objective, np.zeros((len(ALPHAS), 2)), 1 / objective.lipschitz, num_iterations=100).theta


@functools.lru_cache(maxsize=256)
def minimum(alpha, penalty):
    """Where J + alpha R is lowest, shape (2,)."""
    X, y = columns()
    objective = MeanSquaredError(X, y, penalty=PENALTIES[penalty](alpha))
    return descend(objective, np.zeros(2), 1 / objective.lipschitz, num_iterations=100).theta


def penalised(alpha, penalty, learning_rate=0.4):
    """Descend J + alpha R from START, `learning_rate` in units of 2/L of that objective.

    Returned: `iterates` (61, 2); `minimum` (2,); `minima` (81, 2), for every penalty of ALPHAS; `level` (4 or 97, 2), the
    points where R is as large as at the minimum: a diamond for L1, a circle for L2.
    """
    X, y = columns()
    objective = MeanSquaredError(X, y, penalty=PENALTIES[penalty](alpha))
    run = descend(objective, START, learning_rate * 2 / objective.lipschitz, num_iterations=60)
    lowest = minimum(alpha, penalty)
    return {"iterates": run.iterates, "minimum": lowest, "minima": minima(penalty), "level": _level(penalty, lowest)}


def _level(penalty, theta):
    if PENALTIES[penalty] is L1:
        return np.abs(theta).sum() * np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [1, 0]])
    angle = np.linspace(0, 2 * np.pi, 97)
    return np.hypot(*theta) * np.stack([np.cos(angle), np.sin(angle)], axis=1)


class PenaltyLab(Lab):
    """A penalty on the loss, live: L2 shrinks both parameters, L1 sets one to exactly zero.

    >>> lab = PenaltyLab(penalty="L1 (sum of sizes)", alpha=70)
    >>> float(lab.arrays["minimum"][1])
    0.0
    """

    title = "Gradient descent on a loss with a penalty: the path on the loss surface, and both parameters for every strength of the penalty"
    width, height = 8.4, 3.9
    slow_controls = ("penalty",)

    def make_controls(self):
        return {
            "alpha": ipywidgets.FloatLogSlider(1, min=-2, max=2, step=0.05, readout_format=".3g", description="strength α"),
            "penalty": ipywidgets.Dropdown(options=list(PENALTIES), description="penalty R"),
            "learning_rate": ipywidgets.FloatLogSlider(0.316, min=-2, max=0.1, step=0.05, readout_format=".3f", description="learning rate ÷ (2/L)"),
        }

    compute = staticmethod(penalised)

    def build(self, fig):
        for penalty in PENALTIES:
            minima(penalty)  # now, or the first choice of L1 would have to wait for it
        plane, paths = fig.subplots(1, 2, width_ratios=[1.35, 1])
        plane.set(xlim=(-70, 110), ylim=(-55, 65), xlabel="θ₁ (body mass index)", ylabel="θ₂ (blood pressure)", title="Loss without penalty, and the path with it")
        paths.set(xlim=(-2, 2), ylim=(-5, 45), xlabel="strength α", title="Where the minimum is: θ₁ —, θ₂ - -")
        paths.set_xticks([-2, -1, 0, 1, 2], ["0.01", "0.1", "1", "10", "100"])
        plane.grid(False)
        free = descent(0.5)
        plane.add_collection(PolyCollection(free["ellipses"], facecolors=SHADES, edgecolors="#7fa3c4", linewidths=0.6), autolim=False)
        plane.plot(*free["minimizer"], "*", color="white", markeredgecolor=figures.INK, markersize=12)
        plane.plot(*START, "o", color=figures.INK, fillstyle="none", markersize=9)
        plane.axhline(0, color=figures.INK, linewidth=0.7)
        plane.axvline(0, color=figures.INK, linewidth=0.7)
        self.level = self.live(plane.plot([], [], "--", color=figures.GREEN)[0])
        self.path = self.live(plane.plot([], [], "o-", color=figures.ORANGE, linewidth=1.6, markersize=3.2)[0])
        self.minimum = self.live(plane.plot([], [], "*", color=figures.INK, markersize=12)[0])
        self.curves = [self.slow(paths.plot([], [], color=figures.BLUE, linestyle=dashes)[0]) for dashes in figures.DASHES[:2]]
        self.here = self.live(paths.axvline(0, color=figures.INK, linewidth=1, linestyle="--"))
        self.dots = self.live(paths.plot([], [], "D", color=figures.ORANGE, markeredgecolor="white", markersize=8, clip_on=False)[0])

    def draw_slow(self, arrays):
        for curve, values in zip(self.curves, arrays["minima"].T, strict=True):
            curve.set_data(np.log10(ALPHAS), values)

    def draw(self, arrays):
        at = np.log10(self.values["alpha"])
        self.level.set_data(*arrays["level"].T)
        self.path.set_data(*_drawable(arrays["iterates"], 1e4).T)
        self.minimum.set_data(*arrays["minimum"][:, None])
        self.here.set_xdata([at, at])
        self.dots.set_data([at, at], arrays["minimum"])

    def describe(self, values, arrays):
        first, second = ("exactly 0" if abs(value) == 0 else f"{value:.1f}" for value in arrays["minimum"])
        left = np.abs(arrays["iterates"][-1] - arrays["minimum"]).max()
        return (
            f"With α = {values['alpha']:.3g} the minimum of loss and penalty together is at θ₁ = <b>{first}</b>, θ₂ = <b>{second}</b>. "
            f"After 60 steps descent {'has reached it' if left < 0.1 else f'is still {left:,.1f} away' if left < 1e6 else 'has diverged'}."
        )
