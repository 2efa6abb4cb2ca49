"""All penalties and folds at once against scikit-learn, one model at a time: `python -m benchmarks.validation`."""

import warnings

import numpy as np
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold

from benchmarks._table import interleave, publish, row
from course_lib.datasets import load_diabetes
from course_lib.validation import leave_one_out, ridge_path

ALPHAS = np.logspace(-3, 4, 100)
FOLDS = KFold(10)


def problems():
    """Yield (size, X, y): the course's data, and normal columns in the sizes of California housing and a wide table."""
    yield "442 x 10", *load_diabetes(scaled=False)
    for m, n in ((20_640, 8), (5_000, 500)):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(m, n))
        yield f"{m:,} x {n}", X, X @ rng.normal(size=n) + 3 * rng.normal(size=m)


def grid_search(estimator, parameter, values, X, y, scoring):
    """Return scikit-learn's fold scores, shape (n_values, n_folds)."""
    search = GridSearchCV(estimator, {parameter: values}, cv=FOLDS, scoring=scoring, refit=False).fit(X, y)
    return -np.array([search.cv_results_[f"split{k}_test_score"] for k in range(FOLDS.n_splits)]).T


def ridge(size, X, y, target, repetitions, share=1):
    """`share`: the peer runs every share-th penalty and its time counts that many times (its cost is one per penalty)."""

    def ours():
        return ridge_path(X, y, ALPHAS, FOLDS, standardize=False).scores

    def peer():
        return grid_search(Ridge(), "alpha", ALPHAS[::share], X, y, "neg_mean_squared_error")

    agreement = np.max(np.abs(ours()[::share] / peer() - 1))
    size += f", peer: every {share}th penalty, time x {share}" if share > 1 else ""
    times = interleave(ours, peer, repetitions=repetitions)
    return row("ridge, 100 penalties x 10 folds", size, *times, target=target, agreement=agreement, peer_name="GridSearchCV", scale=share)


def left_out(size, X, y, target, repetitions):
    def ours():
        return leave_one_out(X, y, ALPHAS)

    def peer():
        return RidgeCV(ALPHAS, cv=None, store_cv_results=True).fit(X, y)

    ours_once, peer_once = ours().scores, peer().cv_results_.T
    agreement = np.max(np.abs(ours_once - peer_once)) / peer_once.mean()
    times = interleave(ours, peer, repetitions=repetitions)
    return row("leave-one-out, 100 penalties", size, *times, target=target, agreement=agreement, peer_name="RidgeCV", scale=1)


def main():
    """Run every comparison; about two minutes."""
    warnings.simplefilter("ignore")
    data = list(problems())
    rows = [ridge(*problem, *plan) for problem, plan in zip(data, [(2000, 5), (1000, 3), (100, 3, 10)], strict=True)]
    rows += [left_out(*problem, *plan) for problem, plan in zip(data, [(20, 7), (4, 7), (30, 3)], strict=True)]
    return publish("validation", rows)


if __name__ == "__main__":
    main()
