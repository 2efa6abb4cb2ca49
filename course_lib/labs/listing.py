"""Chapter 04: run the listing, mend it in one place, run it again; and what each of its choices costs, live.

`run_program` and `mended` are what the lesson does to the listing. `compute` follows the gradient descent of the
listing, with any of its repairs switched on, on the diabetes table and the listing's own split; `ListingLab` draws it.
"""

import bisect
import functools
import re
import subprocess
import sys
from dataclasses import dataclass

import ipywidgets
import numpy as np

from course_lib.datasets import load_diabetes
from course_lib.descent import ClosedFormPath
from course_lib.labs import figures
from course_lib.labs.engine import Lab
from course_lib.objectives import MeanSquaredError


@dataclass(frozen=True)
class Finished:
    """A program that has ended: its exit code, what it printed, the exception that ended it, and its warnings.

    As text it names the kinds of warnings only: which of them NumPy gives first differs between machines.
    """

    exit_code: int
    printed: str
    error: str
    warnings: tuple

    def __str__(self):
        kinds = sorted({warning.partition(":")[0] for warning in self.warnings})
        lines = [", ".join([f"exit code {self.exit_code}", *kinds]), self.error, self.printed]
        return "\n".join(line for line in lines if line)


def run_program(source):
    """Run the text of a Python program in a new interpreter and return it as `Finished`.

    Of an exception only its name and the first line of its message are kept, of each warning its first line:
    no path, and nothing that differs between machines.

    >>> print(run_program("print(1 / 0)"))
    exit code 1
    ZeroDivisionError: division by zero
    """
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    error = re.findall(r"^(\w+(?:Error|Exception|Interrupt):\s*\S.*)$", done.stderr, re.MULTILINE) if done.returncode else []
    warnings = dict.fromkeys(re.findall(r"\w+Warning: .*", done.stderr))
    return Finished(done.returncode, done.stdout.strip(), " ".join(error[-1].split()) if error else "", tuple(warnings))


def mended(program, *repairs):
    """Return the program with each (old, new) of `repairs` done; raise ValueError unless `old` stands in it exactly once.

    >>> mended("import numpy", ("numpy", "numpy as np"))
    'import numpy as np'
    """
    for old, new in repairs:
        if program.count(old) != 1:
            raise ValueError(f"a repair must fit in one place; {old!r} stands {program.count(old)} times in the program.")
        program = program.replace(old, new)
    return program


@dataclass(frozen=True)
class Setting:
    """The two parts of the split as a program sees them, and the exact answers to compare with."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray
    objective: MeanSquaredError
    path: ClosedFormPath
    per_deviation: np.ndarray  # theta @ per_deviation: prediction for the average row, then effect of one standard deviation
    exact: np.ndarray  # the parameters of LinearRegression, in the same terms
    exact_loss: float  # its mean squared error on the training rows
    exact_test_rmse: float


@functools.lru_cache(maxsize=256)
def setting(scaled=True, intercept=True, random_state=42):
    """Return the diabetes table as a listing with these repairs would see it (`Setting`), split 80 to 20.

    The scaler, if there is one, is fitted on the training rows alone.
    """
    from sklearn.model_selection import train_test_split

    X_train, X_test, y_train, y_test = train_test_split(*load_diabetes(), test_size=0.2, random_state=random_state)
    mean, deviation = X_train.mean(axis=0), X_train.std(axis=0)
    full, full_test = (np.column_stack([np.ones(len(X)), (X - mean) / deviation]) for X in (X_train, X_test))
    exact = np.linalg.lstsq(full, y_train, rcond=None)[0]

    effect = np.column_stack([np.zeros(len(mean)), np.eye(len(mean))])  # scaled columns average 0 and vary by 1
    if scaled:
        X_train, X_test = full[:, 1:], full_test[:, 1:]
    else:
        effect = np.column_stack([mean, np.diag(deviation)])
    if intercept:
        X_train, X_test = (np.column_stack([np.ones(len(X)), X]) for X in (X_train, X_test))
        effect = np.vstack([np.eye(len(exact))[0], effect])

    objective = MeanSquaredError(X_train, y_train)
    return Setting(
        X_train, X_test, y_train, y_test, objective, ClosedFormPath(objective), effect, exact,
        exact_loss=float(np.mean((full @ exact - y_train) ** 2)), exact_test_rmse=rmse(full_test @ exact, y_test),
    )  # fmt: skip


def rmse(prediction, y):
    """Root mean squared error over the last axis, in the units of y."""
    return np.sqrt(np.mean((prediction - y) ** 2, axis=-1))


def compute(learning_rate=0.01, num_iterations=1000, scaled=False, intercept=False, factor=1, random_state=42):
    """Follow gradient descent from zeros, with the listing's choices as defaults, and compare with LinearRegression.

    `factor` is 1 for the listing's gradient (1/m) and 2 for the formula's (2/m): rate times factor is all that counts.
    Returns a dict: `steps` (S,), and at each of them `excess_loss` (training loss above that of LinearRegression),
    `parameter_error` (largest, in units of y per standard deviation of a column) and `test_rmse`, each (S,);
    `exact_test_rmse`, `mean_test_rmse` (predict the mean of the training rows), `largest_stable_rate` in the terms
    of `factor`, and `diverges_at`: the step whose theta is the first with a value that is not finite, or None.
    """
    at = setting(scaled, intercept, random_state)
    rate = learning_rate * factor / 2  # the rate for the gradient with 2/m
    steps = np.unique(np.geomspace(1, num_iterations, 160).round().astype(int))
    with np.errstate(over="ignore", invalid="ignore"):
        theta = at.path.theta(steps, rate)
        arrays = {
            "excess_loss": at.path.losses(steps, rate) - at.exact_loss,
            "parameter_error": np.abs(theta @ at.per_deviation - at.exact).max(axis=-1),
            "test_rmse": rmse(theta @ at.X_test.T, at.y_test),
        }
    return arrays | {
        "steps": steps,
        "exact_test_rmse": at.exact_test_rmse,
        "mean_test_rmse": rmse(at.y_train.mean(), at.y_test),
        "largest_stable_rate": at.path.largest_stable_rate * 2 / factor,
        "diverges_at": divergence_step(at, rate),
    }


LONGEST = 10_000_000


def divergence_step(at, rate):
    """Return the first step after which theta is not finite, None if that takes more than ten million steps."""
    if rate <= at.path.largest_stable_rate:
        return None

    def overflows(step):  # the gradient in the listing's order of operations; the theta after it is broken
        residual = at.X_train @ at.path.theta(step, rate) - at.y_train
        return not np.isfinite(at.X_train.T / len(residual) @ residual).all()

    with np.errstate(over="ignore", invalid="ignore"):
        last_sound = bisect.bisect_left(range(LONGEST), True, key=overflows)
    return last_sound + 1 if last_sound < LONGEST else None


def unseen_runs():
    """Three runs for the reader to diagnose: {name: what `compute` gives, and its `training_rmse`, cause and rate}."""
    limit = setting(random_state=7).path.largest_stable_rate
    return {
        "run A": _run("a learning rate just above the limit", 1.003 * limit, random_state=7),
        "run B": _run("no column of ones", 0.5 * limit, intercept=False, random_state=8),
        "run C": _run("stopped too early", 0.002 * limit, random_state=9),
    }


def _run(cause, learning_rate, **choices):
    run = compute(learning_rate, 3_000, scaled=True, factor=2, **{"intercept": True} | choices)
    at = setting(random_state=choices["random_state"])
    training_rmse = np.sqrt(run["excess_loss"] + at.exact_loss)
    return run | {"cause": cause, "learning_rate": learning_rate, "training_rmse": training_rmse, "mean_training_rmse": at.y_train.std()}


class ListingLab(Lab):
    """The gradient descent of the listing with its faults as switches: what the loss, the parameters and the test say."""

    title = "The listing's gradient descent on the diabetes table"
    width, height = 9, 3.3

    def make_controls(self):
        return {
            "scaled": ipywidgets.Checkbox(False, description="scale the columns"),
            "intercept": ipywidgets.Checkbox(False, description="column of ones"),
            "factor": ipywidgets.Dropdown(options=[("1/m, as in the listing", 1), ("2/m, as in the formula", 2)], description="gradient with"),
            "learning_rate": ipywidgets.FloatLogSlider(0.01, min=-6, max=0, step=0.05, description="learning rate", readout_format=".2g"),
            "num_iterations": ipywidgets.FloatLogSlider(1000, min=1, max=5, step=0.05, description="steps", readout_format=".0f"),
        }

    compute = staticmethod(lambda num_iterations, **values: compute(num_iterations=round(num_iterations), **values))

    def build(self, fig):
        at = setting()
        panels = fig.subplots(1, 3)
        for ax, title, limits in zip(
            panels, ("training loss above the best", "largest parameter error", "test RMSE"), ((1e-7, 1e13), (1e-5, 1e7), (45, 400)), strict=True
        ):
            ax.set(xscale="log", yscale="log", xlim=(0.9, 1.1e5), ylim=limits, xlabel="step", title=title)
        references = (at.exact_test_rmse, "LinearRegression", figures.GREEN), (rmse(at.y_train.mean(), at.y_test), "predict the mean", figures.GREY)
        for (value, label, color), dashes in zip(references, figures.DASHES[1:], strict=False):
            panels[2].axhline(value, color=color, linestyle=dashes)
            panels[2].text(1e5, value * 1.02, label, color=color, ha="right", va="bottom")
        panels[2].set_yticks([50, 70, 100, 200, 400], ["50", "70", "100", "200", "400"])
        panels[2].minorticks_off()
        self.broken = [self.live(ax.axvspan(1, 2, facecolor="none", edgecolor=figures.ORANGE, hatch="//", linewidth=1, label="NaN")) for ax in panels]
        panels[0].legend(handles=self.broken[:1], loc="upper right")
        self.curves = [self.live(ax.plot([], [], color=figures.BLUE)[0]) for ax in panels]
        self.ends = [self.live(ax.plot([], [], "o", color=figures.BLUE, markersize=7)[0]) for ax in panels]

    def draw(self, arrays):
        for curve, end, name in zip(self.curves, self.ends, ("excess_loss", "parameter_error", "test_rmse"), strict=True):
            values = np.where(arrays[name] < 1e100, np.maximum(arrays[name], 1e-100), np.nan)  # Agg cannot draw beyond
            curve.set_data(arrays["steps"], values)
            end.set_data(arrays["steps"][-1:], values[-1:])
        first, last = arrays["diverges_at"] or np.inf, arrays["steps"][-1]
        for span in self.broken:
            span.set_visible(first <= last)
            span.set(x=min(first, last), width=max(last - first, 0))

    def describe(self, values, arrays):
        steps, stable, breaks = arrays["steps"][-1], arrays["largest_stable_rate"], arrays["diverges_at"]
        if values["learning_rate"] > stable:
            if breaks and breaks <= steps:
                fate = f"<b>Diverged: all parameters are NaN from step {breaks:,} on.</b> The program goes on and ends with exit code 0."
            else:
                fate = f"<b>Diverging:</b> each step makes the error larger; NaN from step {breaks:,} on." if breaks else "<b>Diverging</b>, very slowly."
            return f"{fate} The largest stable rate is {stable:.2g}."
        error, test, exact = (arrays[name][-1] if name != "exact_test_rmse" else arrays[name] for name in ("parameter_error", "test_rmse", "exact_test_rmse"))
        verdict = "Converged" if error < 0.01 else "Not the right parameters"
        return (
            f"<b>{verdict} after {steps:,} steps:</b> the largest error of a parameter is {error:.2g}. "
            f"Test RMSE {test:.2f}, exact solution {exact:.2f}. The largest stable rate is {stable:.2g}."
        )
