"""Live figures of chapter 05: the error of a fit in its exact parts, and a whole grid of small networks.

The first fits waves to a function that is known, so the true error is known too: bias² + variance + noise.
"""

import functools

import ipywidgets
import numpy as np
from matplotlib.collections import PolyCollection

from course_lib.labs import figures
from course_lib.labs.engine import Lab
from course_lib.validation import bias_variance, cosine_features

# --- Complexity: 1 to 200 waves, every penalty, the error in its parts -----------------------------------------------

ROWS = (10, 15, 20, 25, 30, 40)
WAVES = np.array([*range(1, 21), 22, 24, 26, 29, 32, 35, 39, 44, 49, 59, 70, 85, 100, 120, 145, 170, 200])  # rows - 1 is among them
EXPONENTS = np.log10(WAVES)  # of the axes: an axis with a logarithmic scale would take every point's logarithm at each event
ALPHAS = np.array([0.0, *np.logspace(-6, 3, 19)])
N_DRAWS = 20
N_VALIDATION = 30
TRAINING, VALIDATION = 94, 1  # seeds; with the first, peak and second descent are plain to see at every number of rows
GRID = (np.arange(200) + 0.5) / 100 - 1  # where the true error is taken: the middles of 200 equal parts of [-1, 1]
ERRORS_SHOWN = (-3, 2)  # exponents


def truth(x):
    """The function to be learned: smooth but for a step, which only fast waves can follow."""
    return np.sin(3 * x) + 0.8 * (x > 0.3) - 0.4


def inputs(n, random_state):
    """Return x (n,): the middles of n equal parts of [-1, 1], each moved at random by up to 0.8 parts."""
    moved = np.arange(n) + 0.5 + np.random.default_rng(random_state).uniform(-0.8, 0.8, n)
    return np.clip(2 * moved / n - 1, -1, 1)


@functools.cache
def decompositions(n_samples):
    """Return a `BiasVariance` for each of WAVES, for noise 1 and all penalties, judged on GRID and on the validation rows.

    Variance and noise grow with the square of the noise and bias stays, so this answers for every noise.
    """
    x, new = inputs(n_samples, TRAINING), np.concatenate([GRID, inputs(N_VALIDATION, VALIDATION)])
    most = [cosine_features(part, WAVES[-1]) for part in (x, new)]
    return [bias_variance(most[0][:, :d], truth(x), most[1][:, :d], truth(new), ALPHAS, noise=1.0) for d in WAVES]


@functools.cache
def expected(n_samples):
    """Return for noise 1, each (37 numbers of waves, 20 penalties): bias², variance, and the training error's two parts.

    The training error that is expected with noise s is part 0 + s² part 1.
    """
    every = decompositions(n_samples)
    bias2 = [np.mean((d.mean_prediction[:, : len(GRID)] - d.truth_new[: len(GRID)]) ** 2, axis=1) for d in every]
    variance = [d.variance_at[:, : len(GRID)].mean(axis=1) for d in every]
    missed = [np.mean((d.fitted(d.truth) - d.truth) ** 2, axis=1) for d in every]
    noise = [d.training_error - m for d, m in zip(every, missed, strict=True)]
    return np.array(bias2), np.array(variance), np.array(missed), np.array(noise)


@functools.cache
def draws(n_samples, sample):
    """Return the noise of one sample at noise 1: training rows (n_samples,), validation rows (30,)."""
    noise = np.random.default_rng([sample, n_samples]).standard_normal(n_samples + N_VALIDATION)
    return noise[:n_samples], noise[n_samples:]


@functools.lru_cache(maxsize=64)
def sample_errors(n_samples, sample):
    """Return the mean squared errors of one sample's fits on its training and its validation rows.

    Each is (3, 37, 20): with noise s the error is part 0 + s part 1 + s² part 2, for a residual is a + s b.
    """
    noise, noise_new = draws(n_samples, sample)
    training, validation = np.empty((2, 3, len(WAVES), len(ALPHAS)))
    for i, d in enumerate(decompositions(n_samples)):
        both = np.stack([d.truth, noise])
        training[:, i] = _squares(d.fitted(both) - both[:, None])
        new = np.stack([d.truth_new[len(GRID) :], noise_new])
        validation[:, i] = _squares(d.predict(both)[..., len(GRID) :] - new[:, None])
    return training, validation


def _squares(residuals):
    """Mean of (a + s b)² over the rows as a polynomial in s, from residuals (2, n_alphas, rows) that hold a and b."""
    a, b = residuals
    return np.mean(a**2, axis=-1), np.mean(2 * a * b, axis=-1), np.mean(b**2, axis=-1)


def complexity(n_waves, alpha=0.0, n_samples=20, noise=0.4, sample=0):
    """Return what is drawn for a sum of `n_waves` cosines, one of WAVES, fitted with penalty `alpha`, one of ALPHAS.

    The sample: inputs `x` and targets `y` (n_samples,). On GRID, each (200,): its `fit`; `low` and `high`, between which
    19 of 20 samples' fits lie. For each of WAVES at this penalty, each (37,): the mean squared errors of this sample's
    fit in `training` and `validation`; `error`, the true one as a mean over all samples, its parts `bias2` and
    `variance`, and `expected_training`; their third part is the number `noise2`. Positions in WAVES and ALPHAS:
    `chosen`, `penalty`, and `best` (waves, penalty), where the true error is lowest.
    """
    chosen, penalty = int(np.searchsorted(WAVES, n_waves)), int(np.searchsorted(ALPHAS, alpha))
    bias2, variance, missed, left = expected(n_samples)
    training, validation = sample_errors(n_samples, sample)
    here = decompositions(n_samples)[chosen]
    y = here.truth + noise * draws(n_samples, sample)[0]
    mean, spread = here.predict(np.stack([here.truth, y]))[:, penalty, : len(GRID)], 1.96 * noise * np.sqrt(here.variance_at[penalty, : len(GRID)])
    total = bias2 + noise**2 * (variance + 1)
    powers = np.array([1, noise, noise**2])
    return {
        "x": inputs(n_samples, TRAINING), "y": y, "fit": mean[1], "low": mean[0] - spread, "high": mean[0] + spread,
        "training": powers @ training[..., penalty], "validation": powers @ validation[..., penalty],
        "error": total[:, penalty], "bias2": bias2[:, penalty], "variance": noise**2 * variance[:, penalty], "noise2": noise**2,
        "expected_training": (missed + noise**2 * left)[:, penalty],
        "chosen": chosen, "penalty": penalty, "best": tuple(int(i) for i in np.unravel_index(total.argmin(), total.shape)), "lowest": total.min(),
    }  # fmt: skip


def verdict(error, training, lowest, noise2):
    """Say in words what ails a fit, from expected errors: its true one, that in training, and the lowest of all fits.

    Near the lowest there is nothing to gain. Else the fit misses its own rows by more than their noise (underfitting),
    or new rows by more than its own (overfitting); the larger of the two is the diagnosis.
    """
    if error <= 1.15 * lowest:
        return "About right"
    return "Overfitting" if error - training > training - noise2 else "Underfitting"


class ComplexityLab(Lab):
    """Complexity, penalty, rows and noise, live: one fit, the three errors over the number of waves, and the true one in its parts.

    >>> lab = ComplexityLab(n_waves=1)
    >>> "Underfitting" in lab.alt
    True
    >>> lab.controls["n_waves"].value = 19
    >>> "Overfitting" in lab.alt, bool(lab.arrays["variance"][18] > 3 * lab.arrays["bias2"][18])
    (True, True)
    """

    title = "A sum of waves fitted to noisy rows of a known function; its errors in training, in validation and in truth for every number of waves; the true one in its parts"
    width, height, sharpness = 8.4, 4.3, 1.25  # a fit through many rows wiggles: more bytes than other figures
    slow_controls = ("alpha", "n_samples", "noise", "sample")

    def make_controls(self):
        one_of = lambda label, values, value: ipywidgets.SelectionSlider(  # noqa: E731
            options=[(f"{v:.2g}", type(value)(v)) for v in values], index=list(values).index(value), description=label
        )
        return {
            "n_waves": one_of("complexity (waves)", WAVES, 5),
            "alpha": one_of("penalty λ", ALPHAS, 0.0),
            "n_samples": one_of("rows", ROWS, 20),
            "noise": ipywidgets.FloatSlider(0.4, min=0, max=1, step=0.05, description="noise (sd)"),
            "sample": ipywidgets.IntSlider(0, min=0, max=N_DRAWS - 1, description="another sample"),
        }

    compute = staticmethod(complexity)

    def build(self, fig):
        for n in ROWS:
            expected(n), sample_errors(n, 0)  # half a second for all: now, not while somebody moves the slider
        grid = fig.add_gridspec(2, 2, width_ratios=[1, 1.15])
        left, errors, parts = fig.add_subplot(grid[:, 0]), fig.add_subplot(grid[0, 1]), fig.add_subplot(grid[1, 1])
        left.set(xlim=(-1, 1), ylim=(-2.6, 3.2), xlabel="x", ylabel="y", title="Truth - -, this fit —, 95 % of fits (grey)")
        ticks = [1, 3, 10, 30, 100, 200]
        for ax in (errors, parts):
            ax.set(xlim=(-0.03, EXPONENTS[-1] + 0.03), ylim=ERRORS_SHOWN, ylabel="squared error")
            ax.set_yticks([-3, -2, -1, 0, 1, 2], ["0.001", "0.01", "0.1", "1", "10", "100"])
        errors.set_xticks(np.log10(ticks), [])
        parts.set_xticks(np.log10(ticks), ticks)
        errors.set(title="Errors for every number of waves")
        parts.set(title="The true error and its parts", xlabel="waves (dotted line: as many parameters as rows)")
        self.band = self.live(left.add_collection(PolyCollection([], facecolors="#dfe4ea", antialiased=False), autolim=False))
        self.truth = self.live(left.plot(GRID, truth(GRID), color=figures.INK, linestyle=(0, (4, 2)), linewidth=1.6)[0])
        self.fit = self.live(left.plot([], [], color=figures.BLUE, linewidth=1.8)[0])
        self.rows = self.live(left.plot([], [], "o", color=figures.INK, markersize=5, markeredgecolor="white", markeredgewidth=0.7)[0])
        line = lambda ax, name, **style: self.slow(ax.plot([], [], label=name, **style)[0])  # noqa: E731
        self.curves = {
            "error": line(errors, "true", color=figures.BLUE, linestyle="-", linewidth=2.4),
            "training": line(errors, "training", color=figures.ORANGE, linestyle=(0, (4, 2))),
            "validation": line(errors, f"validation ({N_VALIDATION} rows)", color=figures.PURPLE, linestyle="-", linewidth=1.2, marker=".", markersize=5),
            "whole": line(parts, "true", color=figures.BLUE, linestyle="-", linewidth=2.4),
            "bias2": line(parts, "bias²", color=figures.GREEN, linestyle=(0, (6, 2))),
            "variance": line(parts, "variance", color=figures.ORANGE, linestyle=(0, (1, 1.3))),
            "noise2": line(parts, "noise", color=figures.GREY, linestyle=(0, (7, 2, 1.5, 2)), linewidth=1.5),
        }
        for ax in (errors, parts):
            ax.legend(loc="upper left", ncols=2, borderaxespad=0.2)
        axvline = lambda ax, layer, dashes: layer(ax.axvline(0, color=figures.INK, linewidth=1, linestyle=dashes))  # noqa: E731
        self.full = [axvline(ax, self.slow, ":") for ax in (errors, parts)]
        self.lines = [axvline(ax, self.live, "--") for ax in (errors, parts)]
        here = {"marker": "D", "linestyle": "none", "markeredgecolor": "white", "markersize": 7}
        self.here = {name: self.live(curve.axes.plot([], [], color=curve.get_color(), **here)[0]) for name, curve in self.curves.items()}

    def draw_slow(self, arrays):
        for line in self.full:
            line.set_xdata([np.log10(len(arrays["x"]) - 1)] * 2)
        for name, curve in self.curves.items():
            curve.set_data(EXPONENTS, self.heights(arrays, name))

    def draw(self, arrays):
        at, forth = arrays["chosen"], np.column_stack([GRID, arrays["low"]])
        self.band.set_verts([np.concatenate([forth, np.column_stack([GRID, arrays["high"]])[::-1]])])
        self.fit.set_data(GRID, arrays["fit"])
        self.rows.set_data(arrays["x"], arrays["y"])
        for line in self.lines:
            line.set_xdata([EXPONENTS[at]] * 2)
        for name, mark in self.here.items():
            mark.set_data([EXPONENTS[at]], [self.heights(arrays, name)[at]])

    @staticmethod
    def heights(arrays, name):
        """Where on the axis a curve runs: exponents of ten, those beyond the edges just outside."""
        values = np.broadcast_to(arrays["error" if name == "whole" else name], WAVES.shape)
        low, high = ERRORS_SHOWN
        return np.log10(np.clip(values, 10.0 ** (low - 1), 10.0 ** (high + 1)))

    def describe(self, values, arrays):
        at, (waves, penalty) = arrays["chosen"], arrays["best"]
        show = lambda name: f"{arrays[name][at]:.2g}" if arrays[name][at] > 1e-9 else "0"  # noqa: E731
        word = verdict(arrays["error"][at], arrays["expected_training"][at], arrays["lowest"], arrays["noise2"])
        return (
            f"<b>{word}</b>: training error {show('training')}, validation error {show('validation')}. The true error is <b>{show('error')}</b> = "
            f"bias² {show('bias2')} + variance {show('variance')} + noise {arrays['noise2']:.2g} (mean over all samples). The lowest that these "
            f"rows allow is {arrays['lowest']:.2g}, with {WAVES[waves]} waves and λ = {ALPHAS[penalty]:.2g}."
        )
