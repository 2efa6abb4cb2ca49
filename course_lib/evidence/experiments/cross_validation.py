"""Chapter 03: what cross-validation measures, and when its number can be believed (A 8.2, 8.3.2, 8.5, 8.8)."""

import numpy as np
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from course_lib.datasets import (
    make_gaussian_classes,
    make_grouped,
    make_noise_classification,
    make_polynomial,
    make_random_walk,
    make_sparse_linear,
)
from course_lib.evidence.registry import Result, claim
from course_lib.validation import KFold, TimeSeriesSplit, cross_validation, ridge_path

PENALTIES = np.concatenate([[0], np.logspace(-2, 3, 50)])


def rmse(model, X, y):
    return float(np.sqrt(np.mean((model.predict(X) - y) ** 2)))


def true_rmse(data, path, i):
    """The error on new rows of the i-th model of a path, exactly: features are standard normal."""
    off = np.sum((path.coefficients[i] - data.truth["coefficients"]) ** 2) + path.intercepts[i] ** 2
    return float(np.sqrt(data.truth["bayes_mse"] + off))


@claim("A-8.2-2", metric="share of test rows whose person stands in the training part", expects="same", seeds=20,
       when="each row is another person")  # fmt: skip
def folds_of_single_rows(seed):
    return persons_in_both(np.arange(200), seed)


@folds_of_single_rows.counter("each person has five rows")
def folds_of_grouped_rows(seed):
    return persons_in_both(np.repeat(np.arange(40), 5), seed)


def persons_in_both(persons, seed):
    """0, which "disjoint" promises, and what shuffled folds do."""
    splits = KFold(5, shuffle=True, random_state=seed).split(persons[:, None])
    return Result(0.0, np.mean([np.isin(persons[test], persons[train]).mean() for train, test in splits]))


@claim("A-8.2-3", "A-8.3.2-1", metric="RMSE on new rows", expects="lower", seeds=20,
       when="cross-validation is run on a tree that overfits")  # fmt: skip
def only_run(seed):
    X, y = make_polynomial(200, noise=0.5, random_state=seed)
    new = make_polynomial(5000, noise=0.5, random_state=[seed, 1])
    tree = DecisionTreeRegressor(random_state=0).fit(X, y)
    before = rmse(tree, *new)
    cross_validation(tree, X, y)
    return Result(before, rmse(tree, *new))


@only_run.counter("the depth of the tree is chosen by it")
def used_to_choose(seed):
    X, y = make_polynomial(200, noise=0.5, random_state=seed)
    new = make_polynomial(5000, noise=0.5, random_state=[seed, 1])
    tree = DecisionTreeRegressor(random_state=0)
    search = GridSearchCV(tree, {"max_depth": range(1, 9)}, cv=5, scoring="neg_mean_squared_error")
    return Result(rmse(tree.fit(X, y), *new), rmse(search.fit(X, y), *new))


@claim("A-8.3.2-2", metric="RMSE: on new rows, and as the folds say", expects="same", margin=0.1, seeds=20,
       when="a model is trained and tested on each subset, as written")  # fmt: skip
def tested_on_its_own_rows(seed):
    return truth_and_estimate(seed, lambda train, test: (test, test))


@tested_on_its_own_rows.counter("it is trained on the other subsets and tested on this one")
def tested_on_the_other_rows(seed):
    return truth_and_estimate(seed, lambda train, test: (train, test))


def truth_and_estimate(seed, use):
    X, y = make_polynomial(200, noise=0.5, random_state=seed)
    new = make_polynomial(5000, noise=0.5, random_state=[seed, 1])
    tree = DecisionTreeRegressor(random_state=0)
    parts = [use(train, test) for train, test in KFold(5).split(X)]
    errors = [rmse(tree.fit(X[fitted], y[fitted]), X[judged], y[judged]) for fitted, judged in parts]
    return Result(rmse(tree.fit(X, y), *new), np.mean(errors))


@claim("A-8.3.2-4", metric="share of rows that are tested exactly once", expects="same", seeds=20,
       when="the rows are divided anew in each iteration")  # fmt: skip
def divided_anew(seed):
    return tested_once(ShuffleSplit(5, test_size=0.2, random_state=seed))


@divided_anew.counter("they are divided once, and the part of the test fold goes round")
def divided_once(seed):
    return tested_once(KFold(5, shuffle=True, random_state=seed))


def tested_once(splitter):
    tested = np.concatenate([test for _, test in splitter.split(np.zeros((100, 1)))])
    return Result(1.0, np.mean(np.bincount(tested, minlength=100) == 1))


@claim("A-8.3.2-5", metric="accuracy: on new rows, and as the average of the folds says", expects="same", margin=0.05,
       seeds=30, when="the rows are independent and all that learns is inside the folds")  # fmt: skip
def honest_average(seed):
    X, y = make_gaussian_classes(5200, separation=2.0, random_state=seed)
    return new_rows_and_average(LogisticRegression(), X, y, n_train=200)


@honest_average.counter("the features were chosen with all labels before (labels are noise)")
def selected_outside(seed):
    X, y = make_noise_classification(60, 1000, random_state=seed)
    chosen = SelectKBest(k=20).fit_transform(X, y)
    return Result(0.5, cross_validation(LogisticRegression(), chosen, y).mean)


@honest_average.counter("rows of one person lie in several folds and new rows are new persons")
def groups_ignored(seed):
    X, y = make_grouped(60, 6, random_state=seed)
    folds = KFold(5, shuffle=True, random_state=seed)
    return Result(0.5, cross_validation(KNeighborsClassifier(1), X, y, cv=folds).mean)


@honest_average.counter("it is the best of 12 averages (labels are noise)")
def best_of_many(seed):
    X, y = make_noise_classification(60, 10, random_state=seed)
    trees = [DecisionTreeClassifier(max_features=1, random_state=i) for i in range(12)]
    return Result(0.5, max(cross_validation(tree, X, y, cv=3).mean for tree in trees))


def new_rows_and_average(model, X, y, n_train):
    average = cross_validation(model, X[:n_train], y[:n_train]).mean
    return Result(model.fit(X[:n_train], y[:n_train]).score(X[n_train:], y[n_train:]), average)


@claim("A-8.5-1", metric="share of next steps whose direction is said rightly", expects="higher", margin=0.02, seeds=30,
       when="the price is a random walk")  # fmt: skip
def next_step_of_a_walk(seed):
    return direction_said(make_random_walk(1000, random_state=seed).truth["steps"])


@next_step_of_a_walk.counter("half of each step carries over into the next")
def next_step_with_memory(seed):
    steps = make_random_walk(1000, random_state=seed).truth["steps"].copy()
    for i in range(1, len(steps)):
        steps[i] += 0.5 * steps[i - 1]
    return direction_said(steps)


def direction_said(steps):
    """A coin, and logistic regression on the last five steps, tested on what comes later."""
    table = np.lib.stride_tricks.sliding_window_view(steps, 6)
    up = (table[:, 5] > 0).astype(int)
    return Result(0.5, cross_validation(LogisticRegression(), table[:, :5], up, cv=TimeSeriesSplit(5)).mean)


@claim("A-8.8-3", metric="RMSE on new rows", expects="lower", seeds=20, when="5 of 95 features matter")
def few_features_matter(seed):
    return all_features_and_best_ten(seed, n_relevant=5)


@few_features_matter.counter("all 95 matter")
def all_features_matter(seed):
    return all_features_and_best_ten(seed, n_relevant=95)


def all_features_and_best_ten(seed, n_relevant):
    X, y = make_sparse_linear(1110, 95, n_relevant, noise=2.0, random_state=seed)
    ten = make_pipeline(SelectKBest(f_regression, k=10), LinearRegression())
    return Result(*(rmse(model.fit(X[:110], y[:110]), X[110:], y[110:]) for model in (LinearRegression(), ten)))


@claim("A-8.8-4", metric="RMSE on new rows", expects="lower", scale="ratio", margin=0.01, seeds=30,
       when="there are 80 rows for 70 features")  # fmt: skip
def penalty_for_few_rows(seed):
    return without_and_with_penalty(seed, n_samples=80, n_features=70)


@penalty_for_few_rows.counter("there are 1,000 rows for 20 features")
def penalty_for_many_rows(seed):
    return without_and_with_penalty(seed, n_samples=1000, n_features=20)


def without_and_with_penalty(seed, n_samples, n_features):
    """Least squares, and ridge with the penalty that ten folds choose."""
    data = make_sparse_linear(n_samples, n_features, n_features // 2, noise=3.0, random_state=seed)
    path = ridge_path(*data, PENALTIES, standardize=True)
    return Result(true_rmse(data, path, 0), true_rmse(data, path, int(np.argmin(path.mean))))
