"""All penalties and folds at once against scikit-learn, one model at a time: `python -m benchmarks.validation`."""

import warnings

import numpy as np
from sklearn.linear_model import LassoCV, LogisticRegression, Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold

from benchmarks._table import interleave, publish, row
from course_lib.datasets import load_diabetes
from course_lib.validation import lasso_path, leave_one_out, logistic_path, ridge_path

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
        return ridge_path(X, y, ALPHAS, cv=10).scores

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
    return row("leave-one-out, 100 penalties", size, *times, target=target, agreement=agreement, peer_name="RidgeCV")


def lasso(size, X, y, target, repetitions):
    """The difference is taken from LassoCV with tol=1e-10: at its default tolerance LassoCV itself is off by 5e-3 and more."""
    alphas = LassoCV(cv=2).fit(X, y).alphas_  # scikit-learn's own grid

    def ours():
        return lasso_path(X, y, alphas, cv=10).scores

    def peer(tol=1e-4):
        return LassoCV(alphas=alphas, cv=FOLDS, tol=tol, max_iter=100_000).fit(X, y).mse_path_

    agreement = np.max(np.abs(ours() / peer(tol=1e-10) - 1))
    times = interleave(ours, peer, repetitions=repetitions)
    return row("lasso, 100 penalties x 10 folds", size, *times, target=target, agreement=agreement, peer_name="LassoCV")


def logistic(size, X, y, target, repetitions, share=10):
    """Above or below the median of y. The difference is taken from a Newton solver with tol=1e-12."""
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), (y > np.median(y)).astype(int)
    Cs = np.logspace(-4, 4, 100)

    def ours():
        return logistic_path(X, y, Cs, FOLDS).scores

    def peer(**solver):
        return grid_search(LogisticRegression(**solver), "C", Cs[::share], X, y, "neg_log_loss")

    agreement = np.max(np.abs(ours()[::share] / peer(solver="newton-cholesky", tol=1e-12) - 1))
    size += f", peer: every {share}th C, time x {share}"
    times = interleave(ours, peer, repetitions=repetitions)
    return row("logistic, 100 penalties x 10 folds", size, *times, target=target, agreement=agreement, peer_name="GridSearchCV", scale=share)


def main():
    """Run every comparison; about three minutes."""
    warnings.simplefilter("ignore")
    plans = {
        ridge: [(2000, 5), (1000, 3), (100, 3, 10)],
        left_out: [(20, 7), (4, 7), (30, 3)],
        lasso: [(10, 7), (15, 7), (2, 5)],
        logistic: [(40, 7), (15, 7)],  # not for 500 columns
    }
    rows = [compare(*problem, *plan) for compare, sizes in plans.items() for problem, plan in zip(problems(), sizes)]
    return publish("validation", rows)


if __name__ == "__main__":
    main()
