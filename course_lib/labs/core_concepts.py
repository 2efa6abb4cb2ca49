"""Live figures of chapter 01: one model under several judges, and a test set that wears out.

`judge` and `wear` are exact: nothing is drawn at random but the cloud of dots, so what moves is the effect of the slider.
"""

from functools import lru_cache

import ipywidgets
import numpy as np
from scipy.special import expit, logit, ndtr

from course_lib.datasets import make_gaussian_classes, make_noise_classification
from course_lib.labs import figures
from course_lib.labs.engine import Lab

SCORES = np.linspace(-8, 8, 1601)  # the measurement that the model sees
TENTHS = 10


def judge(threshold=0.5, prevalence=0.5, sharpness=1.0, separation=2.0):
    """What each metric says, on endless data, about a model for two classes (A 8.2, B 8.3.1).

    The score of a case is normal with standard deviation 1, its mean +separation/2 in class 1 and -separation/2 in class
    0 (as in `datasets.make_gaussian_classes`). The model multiplies the true log odds by `sharpness`: 1 is honest, above
    1 is overconfident, below 1 too modest. It says "yes" where its probability is at least `threshold`.

    Returns a dict: `accuracy`, `precision` (1.0 if it never says yes), `recall`, `f1`, `auc`, `log_loss` (nats), `brier`,
    `calibration_error` (mean distance between stated and true probability: ECE with bins as narrow as can be); `majority` and `entropy`, which the accuracy and the log loss of
    a model that knows nothing but the prevalence are; `cut`, the score at which it begins to say yes; `densities` (2, S)
    over SCORES, which add up to 1; `stated` and `true` (10,), the mean probability in each tenth of the cases.

    >>> rare = judge(prevalence=0.02, separation=1.0)
    >>> bool(rare["accuracy"] > 0.97), bool(rare["recall"] < 0.01)
    (True, True)
    """
    log_odds = logit(prevalence)
    densities = np.array([(1 - prevalence) * _normal(SCORES + separation / 2), prevalence * _normal(SCORES - separation / 2)])
    truth = separation * SCORES + log_odds
    model, p_true = sharpness * truth, expit(truth)
    p_model = expit(model)

    cut = (logit(threshold) / sharpness - log_odds) / separation
    hits, false_alarms = prevalence * ndtr(separation / 2 - cut), (1 - prevalence) * ndtr(-cut - separation / 2)
    said_yes = hits + false_alarms
    cases = densities.sum(axis=0)
    tenth = np.minimum(TENTHS * np.cumsum(cases) / cases.sum(), TENTHS - 1).astype(int)
    losses = densities[0] * np.logaddexp(0, model) + densities[1] * np.logaddexp(0, -model)
    return {
        "accuracy": hits + (1 - prevalence) - false_alarms,
        "precision": hits / said_yes if said_yes > 0 else 1.0,
        "recall": hits / prevalence,
        "f1": 2 * hits / (said_yes + prevalence),
        "auc": ndtr(separation / np.sqrt(2)),
        "log_loss": np.trapezoid(losses, SCORES),
        "brier": np.trapezoid(densities[0] * p_model**2 + densities[1] * (1 - p_model) ** 2, SCORES),
        "calibration_error": np.trapezoid(cases * np.abs(p_model - p_true), SCORES),
        "majority": max(prevalence, 1 - prevalence),
        "entropy": -prevalence * np.log(prevalence) - (1 - prevalence) * np.log(1 - prevalence),
        "cut": cut,
        "densities": densities,
        "stated": np.bincount(tenth, cases * p_model) / np.bincount(tenth, cases),
        "true": np.bincount(tenth, cases * p_true) / np.bincount(tenth, cases),
    }


def _normal(z):
    return np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)


MOST_MODELS = 1000
LOOKS = np.unique(np.geomspace(1, MOST_MODELS, 60).round().astype(int))
AVERAGE_MODEL = 0.7


def wear(n_models=100, n_test=300, spread=0.0):
    """What the best of many scores on one test set is worth (A 8.1).

    The true accuracies of the models are normal around 0.7 with standard deviation `spread`; each score on `n_test` rows
    adds the noise of the draw, in its normal approximation. All models see the same rows only in name: their errors are
    independent, which makes the effect as large as it can be.

    Returns a dict: over `looks` (L,), the number of models compared: `seen`, the expected score of the winner; `won`,
    its expected true accuracy; `possible`, that of the truly best model. `noise` is the standard deviation of one score.
    For one draw of `n_models`: `true` and `scores` (n_models,), and `winner`, the row of the best score.
    """
    noise = np.sqrt(AVERAGE_MODEL * (1 - AVERAGE_MODEL) / n_test)
    both, best = np.hypot(noise, spread), best_of(LOOKS)
    quality, luck = _draws()[:, :n_models]
    true = AVERAGE_MODEL + spread * quality
    scores = true + noise * luck
    return {
        "looks": LOOKS,
        "seen": AVERAGE_MODEL + both * best,
        "won": AVERAGE_MODEL + spread**2 / both * best,  # the share of the lead that is real: variance over variance
        "possible": AVERAGE_MODEL + spread * best,
        "noise": noise,
        "true": true,
        "scores": scores,
        "winner": int(scores.argmax()),
    }


def best_of(looks):
    """Expected largest of k standard normal numbers, for each k in `looks` (L,) of whole numbers from 1 on.

    >>> best_of(np.array([1, 2, 100])).round(3)
    array([0.   , 0.564, 2.508])
    """
    return np.array([_best_of(int(k)) for k in looks])


@lru_cache(maxsize=None)
def _best_of(k):
    z = np.linspace(-9, 9, 3601)
    return np.trapezoid(z * k * _normal(z) * ndtr(z) ** (k - 1), z)


@lru_cache(maxsize=None)
def _draws():
    return np.random.default_rng(12).standard_normal((2, MOST_MODELS))


def reliability(stated, y, n_bins=TENTHS):
    """Mean stated probability and observed share of class 1 in each of `n_bins` groups of equal size: two arrays (n_bins,).

    stated (m,) probabilities, y (m,) labels 0 and 1. An honest model has both equal, but for the noise of the draw.
    """
    groups = np.array_split(np.argsort(stated, kind="stable"), n_bins)
    return tuple(np.array([values[group].mean() for group in groups]) for values in (np.asarray(stated), np.asarray(y)))


def unseen_models():
    """Three models for the reader to diagnose: {"model A": {...}, ...}, in an order that was drawn once.

    Each has its `cause` (overconfident, wrong threshold, worn validation set), `choice_accuracy` on the 100 rows by
    which it was chosen, and `stated` and `y`, its probabilities and the labels of 4,000 new rows.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB

    counted_twice = make_gaussian_classes(4400, separation=1.5, random_state=5)
    counted_twice = np.tile(counted_twice.X, 8), counted_twice.y  # naive Bayes takes eight copies for eight witnesses
    rare = make_gaussian_classes(4400, separation=1.2, prevalence=0.05, random_state=6)
    X, y = make_noise_classification(4400, n_features=20, random_state=7)
    guesses = expit(X @ np.random.default_rng(8).normal(0, 0.2, (20, 500)))  # 500 models of chance: the best is kept
    best = ((guesses[300:400] >= 0.5) == y[300:400, None]).sum(axis=0).argmax()
    stated = {
        "worn validation set": (guesses[:, best], y),
        "overconfident": (_trained(GaussianNB(), *counted_twice), counted_twice[1]),
        "wrong threshold": (_trained(LogisticRegression(), *rare), rare.y),
    }
    return {
        f"model {letter}": {"cause": cause, "choice_accuracy": np.mean((p[300:400] >= 0.5) == y[300:400]), "stated": p[400:], "y": y[400:]}
        for letter, (cause, (p, y)) in zip("ABC", stated.items(), strict=True)
    }


def _trained(model, X, y):
    """Probabilities of class 1 for all rows, from a model trained on the first 300."""
    return model.fit(X[:300], y[:300]).predict_proba(X)[:, 1]


class MetricsLab(Lab):
    """One model and eight judges: threshold, prevalence and sharpness each move some of them and leave the others alone.

    >>> lab = MetricsLab(prevalence=0.05)
    >>> honest = lab.arrays["log_loss"], lab.arrays["accuracy"]
    >>> lab.controls["sharpness"].value = 3
    >>> bool(lab.arrays["log_loss"] > honest[0]), bool(lab.arrays["accuracy"] == honest[1])
    (True, True)
    """

    title = "One model, eight judges"
    width, height = 9.4, 3.6
    metrics = ("accuracy", "precision", "recall", "f1", "auc", "log_loss", "brier", "calibration_error")

    def make_controls(self):
        return {
            "threshold": ipywidgets.FloatSlider(0.5, min=0.02, max=0.98, step=0.01, description="threshold"),
            "prevalence": ipywidgets.FloatSlider(0.5, min=0.01, max=0.99, step=0.01, description="share of class 1"),
            "sharpness": ipywidgets.FloatLogSlider(1, min=-0.8, max=0.8, step=0.02, description="sharpness (1 = honest)", readout_format=".2f"),
            "separation": ipywidgets.FloatSlider(2, min=0.2, max=4, step=0.1, description="how far apart"),
        }

    compute = staticmethod(judge)

    def build(self, fig):
        left, middle, right = fig.subplots(1, 3, width_ratios=[1, 1.15, 0.95])
        left.set(xlim=(-5, 5), ylim=(0, 0.6), xlabel="score of a case", yticks=[], title="The cases")
        styles = {"color": figures.BLUE, "linestyle": "-", "label": "class 0"}, {"color": figures.ORANGE, "linestyle": (0, (5, 1.5)), "label": "class 1"}
        self.curves = [self.live(left.plot([], [], **style)[0]) for style in styles]
        self.cut = self.live(left.plot([], [], color=figures.INK, linewidth=1.4, label="says yes from here →")[0])
        left.legend(loc="upper left", fontsize=8, borderaxespad=0, handlelength=2.2)

        rows = range(len(self.metrics))
        middle.set(xlim=(0, 1.5), ylim=(8.5, -0.6), xticks=[0, 0.5, 1, 1.5], title="The judges")
        middle.set_yticks(rows, ["accuracy ↑", "precision ↑", "recall ↑", "F1 ↑", "ranking (AUC) ↑", "log loss ↓", "Brier score ↓", "calibration error ↓"])
        middle.grid(axis="y", visible=False)
        colors = [figures.BLUE] * 5 + [figures.PURPLE] * 3
        self.bars = self.live(middle.hlines(rows, 0, 0, color=colors, linewidth=10))
        self.bars.set_capstyle("butt")
        self.nothing = self.live(middle.plot([], [], "|", color=figures.INK, markersize=15, markeredgewidth=2.2, label="knows the share only")[0])
        middle.legend(handles=[self.nothing], loc="lower right", fontsize=8, borderaxespad=0, handlelength=1, markerscale=0.6)

        right.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], xlabel="what it says", ylabel="what is true", title="Calibration")
        right.plot([0, 1], [0, 1], color=figures.GREY, linestyle=(0, (4, 2)), linewidth=1.2)
        self.calibration = self.live(right.plot([], [], "-o", color=figures.PURPLE, markersize=5.5, clip_on=False)[0])

    def draw(self, arrays):
        for curve, density in zip(self.curves, arrays["densities"], strict=True):
            curve.set_data(SCORES, density)
        self.cut.set_data([arrays["cut"]] * 2, [0, 0.42])
        self.bars.set_segments([[(0, row), (min(arrays[name], 1.5), row)] for row, name in enumerate(self.metrics)])
        share = self.values["prevalence"]
        self.nothing.set_data([arrays["majority"], share, 0.5, arrays["entropy"], share * (1 - share), 0], [0, 1, 4, 5, 6, 7])
        self.calibration.set_data(arrays["stated"], arrays["true"])

    def describe(self, values, a):
        useless = " (no better than always saying the same)" if a["accuracy"] <= a["majority"] + 0.005 else ""
        harmful = " (worse than stating the share for everybody)" if a["log_loss"] > a["entropy"] else ""
        return (
            f"Accuracy <b>{a['accuracy']:.2f}</b>{useless}, precision {a['precision']:.2f}, recall <b>{a['recall']:.2f}</b>, F1 {a['f1']:.2f}, ranking {a['auc']:.2f}, "
            f"log loss <b>{a['log_loss']:.2f}</b>{harmful}, Brier score {a['brier']:.2f}, calibration error <b>{a['calibration_error']:.2f}</b>."
        )


class LooksLab(Lab):
    """A test set that chooses among many models flatters the winner: by how much, and how much of its lead is real.

    >>> lab = LooksLab(n_test=300, n_models=1)
    >>> bool(lab.arrays["seen"][-1] - lab.arrays["won"][-1] > 0.08)
    True
    """

    title = "The best of many scores on one test set"
    width, height = 8.6, 3.7

    def make_controls(self):
        return {
            "n_models": ipywidgets.FloatLogSlider(100, min=0, max=3, step=0.02, description="models compared", readout_format=".0f"),
            "n_test": ipywidgets.FloatLogSlider(300, min=1.7, max=4, step=0.02, description="rows in the test set", readout_format=".0f"),
            "spread": ipywidgets.FloatSlider(0, min=0, max=0.04, step=0.001, description="how much they differ", readout_format=".3f"),
        }

    compute = staticmethod(lambda n_models, n_test, spread: wear(round(n_models), round(n_test), spread))

    def build(self, fig):
        left, right = fig.subplots(1, 2, width_ratios=[1.25, 1])
        left.set(xlim=(1, MOST_MODELS), ylim=(0.65, 0.95), xscale="log", xlabel="models compared", ylabel="accuracy", title="The winner, on average")
        left.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
        styles = (figures.ORANGE, "its score on the test set"), (figures.BLUE, "its true accuracy"), (figures.GREY, "the truly best model")
        lines = zip(styles, ["-", (0, (6, 2)), (0, (1, 1.3))], strict=True)
        self.lines = [self.live(left.plot([], [], color=color, linestyle=dashes, label=label)[0]) for (color, label), dashes in lines]
        self.here = self.live(left.plot([], [], "D", color=figures.INK, markersize=7, clip_on=False)[0])
        left.legend(loc="upper left", fontsize=9)
        right.set(xlim=(0.55, 0.92), ylim=(0.45, 0.95), xlabel="true accuracy", ylabel="score on the test set", title="One draw: a dot is a model")
        right.plot([0.45, 0.95], [0.45, 0.95], color=figures.GREY, linestyle=(0, (4, 2)), linewidth=1.2)
        self.cloud = self.live(right.plot([], [], "o", color=figures.BLUE, markersize=4, alpha=0.5, markeredgewidth=0)[0])
        self.winner = self.live(right.plot([], [], "D", color=figures.ORANGE, markeredgecolor="white", markersize=10, label="the winner")[0])
        right.legend(loc="lower right")

    def draw(self, arrays):
        for line, name in zip(self.lines, ("seen", "won", "possible"), strict=True):
            line.set_data(arrays["looks"], arrays[name])
        n_models = len(arrays["scores"])
        self.here.set_data([n_models] * 2, [np.interp(n_models, arrays["looks"], arrays[name]) for name in ("seen", "won")])
        self.cloud.set_data(arrays["true"], arrays["scores"])
        self.winner.set_data([arrays["true"][arrays["winner"]]], [arrays["scores"][arrays["winner"]]])

    def describe(self, values, arrays):
        n_models = len(arrays["scores"])
        seen, won = (np.interp(n_models, arrays["looks"], arrays[name]) for name in ("seen", "won"))
        what = f"The best of {n_models:,} models" if n_models > 1 else "One model"
        return (
            f"{what} scores <b>{seen:.3f}</b> on {round(values['n_test']):,} test rows, on average; its true accuracy is <b>{won:.3f}</b>. "
            f"{seen - won:.3f} of the score is luck."
        )
