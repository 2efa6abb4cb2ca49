"""Live figures of chapter 03: folds and what one split hides, leakage on pure noise, and the whole path of a penalty."""

import functools

import ipywidgets
import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from scipy.special import stdtrit

from course_lib.datasets import load_diabetes, make_noise_classification
from course_lib.labs import figures
from course_lib.labs.engine import Lab
from course_lib.validation import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit, ridge_path

# --- A penalty: coefficients, training error and the curve of cross-validation --------------------------------------

ALPHAS = np.geomspace(1e-2, 1e6, 81)
EXPONENTS = np.log10(ALPHAS)  # of the axes: an axis with a logarithmic scale would take every point's logarithm at each event
MOST_NOISE = 20  # columns


@functools.cache
def noisy_diabetes():
    """Return the diabetes data in random order with 20 columns of noise appended: X (442, 30), y (442,)."""
    rng = np.random.default_rng(0)
    X, y = load_diabetes()
    order = rng.permutation(len(y))
    return np.column_stack([X[order], rng.standard_normal((len(y), MOST_NOISE))]), y[order]


@functools.lru_cache(maxsize=256)
def path(n_samples=442, n_noise=0, n_splits=10, standardize=True):
    """Ridge regression for 81 penalties: what does not depend on the chosen one.

    Returned: `effects` (81, 10 + n_noise), the change of the prediction for one standard deviation of a column;
    `folds` (81, n_splits), `mean`, `low`, `high` and `training` (81,), root mean squared errors, `low` to `high`
    being the 95 % interval of the mean, corrected for shared training rows (Nadeau and Bengio); `best`, the index
    of the lowest mean.
    """
    X, y = noisy_diabetes()
    X, y = X[:n_samples, : 10 + n_noise], y[:n_samples]
    fit = ridge_path(X, y, ALPHAS, cv=n_splits, standardize=standardize)
    predictions = X @ fit.coefficients.T + fit.intercepts
    spread = fit.scores.std(axis=1, ddof=1) * np.sqrt(1 / n_splits + 1 / (n_splits - 1))
    half = stdtrit(n_splits - 1, 0.975) * spread
    return {
        "effects": fit.coefficients * X.std(axis=0),
        "folds": np.sqrt(fit.scores),
        "mean": np.sqrt(fit.mean),
        "low": np.sqrt(np.maximum(fit.mean - half, 0)),
        "high": np.sqrt(fit.mean + half),
        "training": np.sqrt(np.mean((y[:, None] - predictions) ** 2, axis=0)),
        "best": int(np.argmin(fit.mean)),
    }


def regularization(alpha, n_samples=442, n_noise=0, n_splits=10, standardize=True):
    """Return `path` of these data, with `chosen`: the index in ALPHAS nearest to `alpha`."""
    chosen = int(np.argmin(np.abs(np.log(ALPHAS / alpha))))
    return path(n_samples, n_noise, n_splits, standardize) | {"chosen": chosen}


class RegularizationLab(Lab):
    """The penalty of ridge regression, live: every coefficient and the whole curve of cross-validation.

    >>> lab = RegularizationLab(alpha=1e6)
    >>> bool(abs(lab.arrays["effects"][lab.arrays["chosen"]]).max() < 1)    # everything shrunk to nothing
    True
    """

    title = "Ridge regression on the diabetes data for every penalty: its coefficients, its training error and its error in cross-validation"
    width, height = 8.4, 3.9
    slow_controls = ("n_samples", "n_noise", "n_splits", "standardize")

    def make_controls(self):
        return {
            "alpha": ipywidgets.FloatLogSlider(1, min=-2, max=6, step=0.1, readout_format=".3g", description="penalty λ"),
            "n_samples": ipywidgets.IntSlider(120, min=30, max=442, description="patients"),
            "n_noise": ipywidgets.IntSlider(0, min=0, max=MOST_NOISE, description="columns of noise"),
            "n_splits": ipywidgets.IntSlider(10, min=3, max=12, description="folds"),
            "standardize": ipywidgets.Checkbox(True, indent=True, description="scale columns (in each fold)"),
        }

    compute = staticmethod(regularization)

    def build(self, fig):
        left, right = fig.subplots(1, 2)
        left.set(ylim=(-60, 60), ylabel="effect of one sd", title="Coefficients (thin grey: columns of noise)")
        right.set(ylim=(35, 105), ylabel="RMSE", title="Error: training - -, cross-validation — (95 %)")
        for ax in (left, right):
            ax.set(xlim=EXPONENTS[[0, -1]], xlabel="penalty λ")
            ax.set_xticks([-2, 0, 2, 4, 6], ["0.01", "1", "100", "10⁴", "10⁶"])
        self.noise = self.slow(left.add_collection(LineCollection([], colors=figures.GREY, linewidths=0.8), autolim=False))
        self.effects = self.slow(left.add_collection(LineCollection([], colors=figures.BLUE, linewidths=1.7), autolim=False))
        self.band = self.slow(right.add_collection(PolyCollection([], facecolors="#cfe3f3"), autolim=False))
        self.folds = self.slow(right.add_collection(LineCollection([], colors="#8fa3b5", linewidths=0.6), autolim=False))
        self.training = self.slow(right.plot([], [], linestyle=(0, (4, 2)), color=figures.ORANGE)[0])
        self.mean = self.slow(right.plot([], [], color=figures.BLUE, linewidth=2.4)[0])
        self.best = self.slow(right.plot([], [], "*", color=figures.INK, markersize=12)[0])
        here = {"marker": "D", "linestyle": "none", "markeredgecolor": "white", "markersize": 8}
        self.lines = [self.live(ax.axvline(1, color=figures.INK, linewidth=1, linestyle="--")) for ax in (left, right)]
        self.train_here = self.live(right.plot([], [], color=figures.ORANGE, **here)[0])
        self.here = self.live(right.plot([], [], color=figures.BLUE, **here)[0])

    def draw_slow(self, arrays):
        lines = np.stack(np.broadcast_arrays(EXPONENTS, arrays["effects"].T), axis=-1)  # (columns, 81, 2)
        self.effects.set_segments(lines[:10])
        self.noise.set_segments(lines[10:])
        self.folds.set_segments(np.stack(np.broadcast_arrays(EXPONENTS, arrays["folds"].T), axis=-1))
        forth, back = np.column_stack([EXPONENTS, arrays["low"]]), np.column_stack([EXPONENTS, arrays["high"]])[::-1]
        self.band.set_verts([np.concatenate([forth, back])])
        self.training.set_data(EXPONENTS, arrays["training"])
        self.mean.set_data(EXPONENTS, arrays["mean"])
        self.best.set_data([EXPONENTS[arrays["best"]]], [arrays["mean"][arrays["best"]]])

    def draw(self, arrays):
        at = arrays["chosen"]
        for line in self.lines:
            line.set_xdata([EXPONENTS[at]] * 2)
        self.train_here.set_data([EXPONENTS[at]], [arrays["training"][at]])
        self.here.set_data([EXPONENTS[at]], [arrays["mean"][at]])

    def describe(self, values, arrays):
        at, best = arrays["chosen"], arrays["best"]
        return (
            f"At λ = {ALPHAS[at]:.3g} the training error is {arrays['training'][at]:.1f} and the cross-validated error "
            f"<b>{arrays['mean'][at]:.1f}</b> (95 % interval {arrays['low'][at]:.1f} to {arrays['high'][at]:.1f}). The lowest "
            f"curve value is {arrays['mean'][best]:.1f}, at λ = {ALPHAS[best]:.3g}."
        )


# --- Folds: who is tested when, and how much one split hides --------------------------------------------------------

N_PATIENTS, N_VISITS, N_SHUFFLES = 16, 5, 20
CLASS_OF_PATIENT = np.array([0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1])
PATIENT = np.repeat(np.arange(N_PATIENTS), N_VISITS)
LABEL = np.repeat(CLASS_OF_PATIENT, N_VISITS)
SPLITTERS = {
    "KFold, in order": lambda k, seed: KFold(k),
    "KFold, shuffled": lambda k, seed: KFold(k, shuffle=True, random_state=seed),
    "StratifiedKFold, shuffled": lambda k, seed: StratifiedKFold(k, shuffle=True, random_state=seed),
    "GroupKFold (by patient)": lambda k, seed: GroupKFold(k, shuffle=True, random_state=seed),
    "TimeSeriesSplit": lambda k, seed: TimeSeriesSplit(k),
}


@functools.cache
def visits():
    """Return (distances (80, 80), accuracy on new patients): 16 patients, 5 nearly equal visits each.

    A patient's class moves the features a little, the patient himself moves them much. A model that looks for the
    nearest known visit (1-nearest-neighbour) therefore recognises patients, not the disease.
    """
    rng = np.random.default_rng(4)

    def measure(classes):
        center = rng.standard_normal((len(classes), 4)) + 0.35 * (2 * classes[:, None] - 1)
        return np.repeat(center, N_VISITS, axis=0) + 0.4 * rng.standard_normal((len(classes) * N_VISITS, 4))

    known, new_classes = measure(CLASS_OF_PATIENT), rng.integers(0, 2, 1000)
    nearest = _distances(measure(new_classes), known).argmin(axis=1)
    return _distances(known, known), float(np.mean(LABEL[nearest] == np.repeat(new_classes, N_VISITS)))


def _distances(A, B):
    return ((A[:, None] - B) ** 2).sum(axis=-1, dtype=np.float32)


@functools.lru_cache(maxsize=64)
def shuffles(splitter, n_splits):
    """Every fold of 20 shuffles: `train`, `test` (20, n_splits, 80) as booleans, and accuracies `scores` (20, n_splits)."""
    distances, _ = visits()
    rows = np.arange(len(LABEL))
    train, test = np.zeros((2, N_SHUFFLES, n_splits, len(rows)), bool)
    for seed in range(N_SHUFFLES):
        for fold, (i, j) in enumerate(SPLITTERS[splitter](n_splits, seed).split(rows, LABEL, PATIENT)):
            train[seed, fold, i], test[seed, fold, j] = True, True
    allowed = np.where(train[:, :, None, :], distances, np.float32(np.inf))
    right = LABEL[allowed.argmin(axis=-1)] == LABEL
    return train, test, (right & test).sum(axis=-1) / test.sum(axis=-1)


def folds(splitter, n_splits=5, shuffle=0):
    """Return what is drawn for one shuffle: `train`, `test` (n_splits, 80), `scores` (n_splits,), its folds; then
    `single` (20 * n_splits,), the score of every fold of every shuffle, `means` (20,), and `truth`, the accuracy on
    patients never seen.
    """
    train, test, scores = shuffles(splitter, n_splits)
    return {
        "train": train[shuffle],
        "test": test[shuffle],
        "scores": scores[shuffle],
        "single": scores.ravel(),
        "means": scores.mean(axis=1),
        "truth": visits()[1],
    }


class FoldsLab(Lab):
    """Folds, live: which rows each one tests, what it scores, and how far one split can be from the mean of k.

    >>> lab = FoldsLab(splitter="KFold, shuffled")
    >>> bool(lab.arrays["means"].mean() > lab.arrays["truth"] + 0.1)     # patients on both sides: too good to be true
    True
    """

    title = "Which of 80 visits each fold trains on and tests, the accuracy of each fold, and the spread of single splits against means of all folds"
    width, height = 8.4, 4.2

    def make_controls(self):
        return {
            "splitter": ipywidgets.Dropdown(options=list(SPLITTERS), value="KFold, shuffled", description="splitter"),
            "n_splits": ipywidgets.IntSlider(5, min=2, max=8, description="folds"),
            "shuffle": ipywidgets.IntSlider(0, min=0, max=N_SHUFFLES - 1, description="shuffle number"),
        }

    compute = staticmethod(folds)

    def build(self, fig):
        grid = fig.add_gridspec(2, 2, width_ratios=[1.7, 1], height_ratios=[2.4, 1])
        matrix, rows = fig.add_subplot(grid[0, 0]), fig.add_subplot(grid[1, 0])
        scores, spread = fig.add_subplot(grid[0, 1]), fig.add_subplot(grid[1, 1])
        matrix.set(xlim=(0, 80), ylim=(1, 0), yticks=[], ylabel="one fold a line", title="Dark: tested. Pale: trained on. White: not used")
        rows.set(xlim=(0, 80), ylim=(2, 0), yticks=[0.5, 1.5], yticklabels=["class", "patient"], xlabel="row of the table (a visit)", title="What the rows have in common")
        scores.set(xlim=(0, 1.03), ylim=(1, 0), yticks=[], xlabel="accuracy of each fold", title="Scores of these folds")
        spread.set(xlim=(0, 1.03), ylim=(-0.6, 1.6), yticks=[0, 1], yticklabels=["mean of\nall folds", "one\nsplit"], xlabel="accuracy, 20 shuffles", title="How far can they be off?")
        matrix.grid(False)
        rows.grid(False)
        rows.imshow([LABEL * 0.7, PATIENT % 2 * 0.45], cmap="Greys", vmin=0, vmax=1, aspect="auto", extent=(0, 80, 2, 0))
        self.trained = self.live(matrix.add_collection(PolyCollection([], facecolors="#cfdff0"), autolim=False))
        self.tested = self.live(matrix.add_collection(PolyCollection([], facecolors="#205088"), autolim=False))
        truth = visits()[1]
        for ax in (scores, spread):
            ax.axvline(truth, color=figures.ORANGE, linestyle=(0, (4, 2)), linewidth=1.8)
        scores.text(truth - 0.02, 0.03, "new patients", color=figures.ORANGE, ha="right", va="top", fontsize=9)
        self.mean = self.live(scores.axvline(0, color=figures.INK, linewidth=1.2))
        self.scores = self.live(scores.plot([], [], "o", color=figures.BLUE, markersize=7, clip_on=False)[0])
        dots = {"linestyle": "none", "markersize": 4, "alpha": 0.35, "markeredgewidth": 0, "clip_on": False}
        self.single = self.live(spread.plot([], [], marker="o", color=figures.BLUE, **dots)[0])
        self.means = self.live(spread.plot([], [], marker="s", color=figures.INK, **dots)[0])

    def draw(self, arrays):
        n_splits = len(arrays["scores"])
        self.trained.set_verts(_bars(arrays["train"]))
        self.tested.set_verts(_bars(arrays["test"]))
        self.scores.set_data(arrays["scores"], (np.arange(n_splits) + 0.5) / n_splits)
        self.mean.set_xdata([arrays["scores"].mean()] * 2)
        self.single.set_data(arrays["single"], 1 + _jitter(len(arrays["single"])))
        self.means.set_data(arrays["means"], _jitter(len(arrays["means"])))

    def describe(self, values, arrays):
        scores, means = arrays["scores"], arrays["means"]
        return (
            f"These {len(scores)} folds score {scores.min():.2f} to {scores.max():.2f}, <b>{scores.mean():.2f} in the mean</b>. Over 20 shuffles "
            f"one split gives {arrays['single'].min():.2f} to {arrays['single'].max():.2f}, the mean of all folds {means.min():.2f} to "
            f"{means.max():.2f}. On new patients the same model is right in {arrays['truth']:.2f}."
        )


def _bars(used):
    """A rectangle for each unbroken run of used rows, shape (runs, 4, 2), from `used` (n_splits, 80)."""
    edges = np.diff(np.pad(used.astype(int), [(0, 0), (1, 1)]), axis=1)
    (fold, left), (_, right) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    top, bottom = (fold + 0.05) / len(used), (fold + 0.95) / len(used)
    return np.stack([np.stack([left, right, right, left], axis=1), np.stack([top, top, bottom, bottom], axis=1)], axis=2)


def _jitter(n):
    """Heights from -0.3 to 0.3 that spread `n` dots evenly (golden ratio), the same ones every time."""
    return 0.6 * (np.arange(n) * 0.6180339887 % 1) - 0.3


# --- Leakage: features chosen outside the folds, on labels that are pure noise ---------------------------------------

N_SAMPLES, MOST_FEATURES, N_FOLDS, N_TABLES = 80, 2000, 5, 20
FEATURE_COUNTS = np.unique(np.geomspace(20, MOST_FEATURES, 13).round().astype(int))
OUTSIDE, INSIDE = "outside the folds", "inside the folds"


@functools.lru_cache(maxsize=N_TABLES)
def noise(seed):
    """Return X, y, the test rows of each fold, and class means on the training rows of each fold and, last, on all rows.

    `difference` and `middle`, (6, 2000): mean of class 1 minus mean of class 0, and the point half-way.
    """
    X, y = make_noise_classification(N_SAMPLES, MOST_FEATURES, random_state=seed)
    test = np.zeros((N_FOLDS + 1, N_SAMPLES), bool)  # the last line tests nothing: it trains on all rows
    for fold, (_, rows) in enumerate(StratifiedKFold(N_FOLDS).split(X, y)):
        test[fold, rows] = True
    ones, zeros = (np.where(test, 0.0, y == label) for label in (1, 0))
    mean1, mean0 = (part @ X / part.sum(axis=1, keepdims=True) for part in (ones, zeros))
    return X, y, test[:-1], mean1 - mean0, (mean1 + mean0) / 2


def nearest_mean(n_features, n_selected, inside, seed):
    """Return for each row (80,) how much nearer it is to the mean of class 1 when its fold is tested.

    The `n_selected` features are those whose class means differ most: on the training rows of each fold if
    `inside`, or on all rows, the tested ones too. Positive is a vote for class 1.
    """
    X, y, test, difference, middle = noise(seed)
    votes = np.empty(len(y))
    for fold, rows in enumerate(test):
        ranked = np.abs(difference[fold if inside else -1, :n_features])
        best = np.argpartition(ranked, n_features - n_selected)[n_features - n_selected :]
        votes[rows] = (X[np.ix_(rows, best)] - middle[fold, best]) @ difference[fold, best]
    return votes


def leakage(n_features, n_selected=20, selection=OUTSIDE, seed=0):
    """Return `votes` (80,), `label` (80,) and `accuracy` of the choice, and accuracies `outside` and `inside` (13,) for FEATURE_COUNTS."""
    label = noise(seed)[1]
    accuracy = lambda votes: float(np.mean((votes > 0) == label))  # noqa: E731
    curve = lambda inside: np.array([accuracy(nearest_mean(p, n_selected, inside, seed)) for p in FEATURE_COUNTS])  # noqa: E731
    votes = nearest_mean(n_features, n_selected, selection == INSIDE, seed)
    return {"votes": votes, "label": label, "accuracy": accuracy(votes), "outside": curve(False), "inside": curve(True)}


class LeakageLab(Lab):
    """Leakage, live: choose features before the folds, and pure noise is predicted with 90 % accuracy.

    >>> LeakageLab(selection=OUTSIDE).arrays["accuracy"] > 0.85, LeakageLab(selection=INSIDE).arrays["accuracy"] < 0.65
    (True, True)
    """

    title = "Cross-validated accuracy on labels that are pure noise, with the features chosen outside or inside the folds"
    width, height = 8.4, 3.7

    def make_controls(self):
        return {
            "selection": ipywidgets.Dropdown(options=[OUTSIDE, INSIDE], description="selection"),
            "n_features": ipywidgets.SelectionSlider(options=[(str(p), int(p)) for p in FEATURE_COUNTS], value=MOST_FEATURES, description="features of noise"),
            "n_selected": ipywidgets.IntSlider(20, min=1, max=20, description="features selected"),
            "seed": ipywidgets.IntSlider(0, min=0, max=N_TABLES - 1, description="another table"),
        }

    compute = staticmethod(leakage)

    def build(self, fig):
        for seed in range(N_TABLES):
            noise(seed)  # 160,000 random numbers each: made now, not while somebody moves the slider
        left, right = fig.subplots(1, 2)
        left.set(xlim=(-1.05, 1.05), ylim=(-0.5, 1.5), yticks=[0, 1], yticklabels=["class 0", "class 1"], xticks=[-0.5, 0.5], xticklabels=["← votes for 0", "votes for 1 →"], title="Each tested row: where its vote falls")
        right.set(xlim=(20, MOST_FEATURES), ylim=(0.3, 1.02), xscale="log", xlabel="features of pure noise", ylabel="accuracy", title="Accuracy in cross-validation")
        right.set_xticks([20, 100, 500, 2000], ["20", "100", "500", "2000"])
        right.minorticks_off()
        left.axvline(0, color=figures.INK, linewidth=1.2)
        left.grid(False)
        right.axhspan(0.39, 0.61, color="#e7e7e7")
        right.text(24, 0.405, "what chance allows (95 %)", fontsize=9)
        dots = {"linestyle": "none", "markersize": 6, "alpha": 0.75, "markeredgecolor": "white", "markeredgewidth": 0.5}
        self.votes = [self.live(left.plot([], [], marker=m, color=c, **dots)[0]) for m, c in (("o", figures.BLUE), ("^", figures.ORANGE))]
        lines = {OUTSIDE: {"color": figures.ORANGE, "linestyle": (0, (5, 2)), "marker": "s"}, INSIDE: {"color": figures.BLUE, "marker": "o"}}
        self.curves = {name: self.live(right.plot([], [], markersize=4, clip_on=False, label=name, **line)[0]) for name, line in lines.items()}
        self.here = self.live(right.plot([], [], "D", color=figures.INK, markeredgecolor="white", markersize=9, clip_on=False)[0])
        right.legend(handles=list(self.curves.values()), title="selection", loc="upper left", alignment="left")

    def draw(self, arrays):
        votes = arrays["votes"] / np.abs(arrays["votes"]).max()
        for label, dots in enumerate(self.votes):
            chosen = votes[arrays["label"] == label]
            dots.set_data(chosen, label + _jitter(len(chosen)))
        self.curves[OUTSIDE].set_data(FEATURE_COUNTS, arrays["outside"])
        self.curves[INSIDE].set_data(FEATURE_COUNTS, arrays["inside"])
        self.here.set_data([self.values["n_features"]], [arrays["accuracy"]])

    def describe(self, values, arrays):
        return (
            f"With the {values['n_selected']} best of {values['n_features']} features chosen {values['selection']}, cross-validation reports "
            f"an accuracy of <b>{arrays['accuracy']:.2f}</b>. The labels are coin tosses: the true accuracy is 0.50."
        )
