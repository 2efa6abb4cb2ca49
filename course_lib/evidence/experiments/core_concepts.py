"""Chapter 01: what tuning is, and what it buys (A 8.1, 8.2)."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from course_lib.datasets import load_digits, make_gaussian_classes, make_noise_classification
from course_lib.evidence.registry import Result, claim
from course_lib.validation import cross_validation


@claim("A-8.1-1", metric="cost of a case (a miss 20, a false alarm 1)", expects="lower", seeds=20,
       when="the threshold of the trained model is set by the costs")  # fmt: skip
def threshold_by_costs(seed):
    return threshold_moved(seed, class_weight=None)


@threshold_by_costs.counter("its classes were weighted already, so that it is corrected twice")
def threshold_corrected_twice(seed):
    return threshold_moved(seed, class_weight="balanced")


def threshold_moved(seed, class_weight):
    """A finished model: yes from probability 1/2 on, or from 1/21 on, where the costs of yes and no are equal."""
    X, y = make_gaussian_classes(6000, separation=2.0, prevalence=0.06, random_state=seed)
    p = LogisticRegression(class_weight=class_weight).fit(X[:1000], y[:1000]).predict_proba(X[1000:])[:, 1]
    return Result(*(np.mean(np.where(y[1000:] == 1, 20 * (p < at), p >= at)) for at in (1 / 2, 1 / 21)))


@claim("A-8.2-1", metric="accuracy on new rows", expects="higher", seeds=12,
       when="the values are searched for by cross-validation")  # fmt: skip
def values_searched(seed):
    X, y = load_digits()
    order = np.random.default_rng(seed).permutation(len(y))
    return default_and_best(X[order] / 16, y[order], n_train=200, seed=seed)


@values_searched.counter("the labels are noise, so there is nothing to find")
def values_searched_in_noise(seed):
    X, y = make_noise_classification(1100, 20, random_state=seed)
    return default_and_best(X, y, n_train=100, seed=seed)


def default_and_best(X, y, n_train, seed):
    """A support vector machine as somebody wrote it down, and the best of 16 random settings, on the other rows."""
    rng = np.random.default_rng([seed, 1])
    settings = [SVC(C=10**c, gamma=10**g) for c, g in zip(rng.uniform(-1, 3, 16), rng.uniform(-4, 0, 16))]
    scores = [cross_validation(model, X[:n_train], y[:n_train], cv=3).mean for model in settings]
    models = SVC(C=1.0, gamma=1 / 64), settings[int(np.argmax(scores))]
    return Result(*(model.fit(X[:n_train], y[:n_train]).score(X[n_train:], y[n_train:]) for model in models))
