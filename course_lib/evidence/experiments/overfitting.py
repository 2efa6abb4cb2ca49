"""Chapter 05: overfitting and underfitting, and what helps against which of them (B 8.3.2.1)."""

import numpy as np
from numpy.polynomial import Polynomial
from sklearn.linear_model import ElasticNetCV, LassoCV, LinearRegression
from sklearn.tree import DecisionTreeClassifier

from course_lib.datasets import load_digits, make_gaussian_classes, make_mnist1d, make_polynomial, make_sparse_linear
from course_lib.evidence.registry import Result, claim
from course_lib.validation import ridge_path

PENALTIES = np.logspace(-2, 5, 36)


def rmse(prediction, y):
    return float(np.sqrt(np.mean((prediction - y) ** 2)))


def wrong(model, X, y):
    """The share of wrong labels."""
    return float(np.mean(model.predict(X) != y))


@claim("B-8.3.2.1-1", metric="share of wrong labels on new rows, before and after the training error was lowered",
       expects="higher", margin=0.02, seeds=20, when="60 random features become 200, as many as there are rows")  # fmt: skip
def up_to_the_number_of_rows(seed):
    return random_features_grow(seed, 60, 200)


@up_to_the_number_of_rows.counter("10 become 60")
def from_too_few_features(seed):
    return random_features_grow(seed, 10, 60)


@up_to_the_number_of_rows.counter("60 become 3,000, far more than there are rows (double descent)")
def far_past_the_number_of_rows(seed):
    return random_features_grow(seed, 60, 3000)


def random_features_grow(seed, few, many):
    """Least squares, of smallest norm where it is not unique, on ReLUs of random sums of the pixels of 200 digits."""
    X, y = load_digits()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    X, y = X[order] / 16, y[order]
    features = np.maximum(X @ rng.normal(size=(64, many)), 0)
    return Result(*(wrong_of_least_squares(features[:, :k], y) for k in (few, many)))


def wrong_of_least_squares(X, y, n_train=200):
    weights = np.linalg.lstsq(X[:n_train], np.eye(10)[y[:n_train]])[0]
    return np.mean((X[n_train:] @ weights).argmax(axis=1) != y[n_train:])


@claim("B-8.3.2.1-2", metric="RMSE (noise 0.5): on the rows of the training, and on new ones", expects="higher",
       scale="ratio", margin=0.05, seeds=20, when="a polynomial of degree 15 is fitted to 30 points of a cubic")  # fmt: skip
def gap_of_too_high_a_degree(seed):
    return training_and_new(seed, degree=15, n_samples=30)


@gap_of_too_high_a_degree.counter("one of degree 3 is fitted to 1,000")
def gap_of_the_right_degree(seed):
    return training_and_new(seed, degree=3, n_samples=1000)


@gap_of_too_high_a_degree.counter("the same degree 15 is fitted to 20,000")
def gap_with_many_rows(seed):
    return training_and_new(seed, degree=15, n_samples=20_000)


@claim("B-8.3.2.1-3", metric="RMSE (noise 0.5): on the rows of the training, and elsewhere", expects="lower",
       scale="ratio", margin=0.05, seeds=20, when="a constant is fitted to a cubic: it underfits, and both errors are high")  # fmt: skip
def constant_for_a_cubic(seed):
    return training_and_new(seed, degree=0, n_samples=2000)


@constant_for_a_cubic.counter("a straight line is: it underfits too")
def line_for_a_cubic(seed):
    return training_and_new(seed, degree=1, n_samples=2000)


@constant_for_a_cubic.counter("the y elsewhere carry no noise, though nothing underfits (degree 3)")
def judged_without_noise(seed):
    return training_and_new(seed, degree=3, n_samples=2000, noise_elsewhere=0.0)


def training_and_new(seed, degree, n_samples, noise_elsewhere=0.5):
    X, y = make_polynomial(n_samples, noise=0.5, random_state=seed)
    X_new, y_new = make_polynomial(5000, noise=noise_elsewhere, random_state=[seed, 1])
    curve = Polynomial.fit(X[:, 0], y, degree, domain=[-1, 1])
    return Result(rmse(curve(X[:, 0]), y), rmse(curve(X_new[:, 0]), y_new))


@claim("B-8.3.2.1-4", metric="share of wrong labels on new rows", expects="lower", margin=0.01, seeds=12,
       when="a tree gets 4 levels instead of all it wants, and the classes overlap")  # fmt: skip
def tree_of_four_levels(seed):
    return whole_tree_and_small(make_gaussian_classes(6000, separation=2.0, random_state=seed))


@tree_of_four_levels.counter("the same tree, and no label is wrong by chance (waves)")
def tree_of_four_levels_for_waves(seed):
    return whole_tree_and_small(make_mnist1d(3000, random_state=seed))


def whole_tree_and_small(data, n_train=1000):
    X, y = data
    trees = (DecisionTreeClassifier(max_depth=depth, random_state=0) for depth in (None, 4))
    return Result(*(wrong(tree.fit(X[:n_train], y[:n_train]), X[n_train:], y[n_train:]) for tree in trees))


@claim("B-8.3.2.1-5", metric="RMSE on new rows", expects="lower", scale="ratio", margin=0.03, seeds=20,
       when="5 of 200 columns matter (100 rows)")  # fmt: skip
def lasso_where_few_matter(seed):
    return least_squares_and(LassoCV(cv=5, max_iter=10_000), *make_sparse_linear(2100, 200, 5, 0.5, seed), n_train=100)


@lasso_where_few_matter.counter("all 200 matter")
def lasso_where_all_matter(seed):
    return least_squares_and(LassoCV(cv=5, max_iter=10_000), *make_sparse_linear(2100, 200, 200, 0.5, seed), n_train=100)


@lasso_where_few_matter.counter("each column has nine near copies that matter as much (60 rows)")
def lasso_among_near_copies(seed):
    return least_squares_and(LassoCV(cv=5, max_iter=10_000), *near_copies(seed), n_train=60)


def least_squares_and(penalised, X, y, n_train):
    models = LinearRegression(), penalised
    return Result(*(rmse(model.fit(X[:n_train], y[:n_train]).predict(X[n_train:]), y[n_train:]) for model in models))


def near_copies(seed):
    """200 columns in 20 groups of 10; the columns of five groups matter, each as much as its nine copies."""
    rng = np.random.default_rng(seed)
    groups = rng.normal(size=(2060, 20))
    X = np.repeat(groups, 10, axis=1) + 0.4 * rng.normal(size=(2060, 200))
    weights = np.repeat(rng.uniform(1, 2, 5) * rng.choice([-1, 1], 5), 10)
    return X, X[:, :50] @ weights + 2.0 * rng.normal(size=len(X))


@claim("B-QA-1", metric="RMSE on new rows", expects="lower", scale="ratio", margin=0.03, seeds=20,
       when="L2, tuned: 80 rows for 78 columns")  # fmt: skip
def ridge_for_as_many_rows_as_columns(seed):
    return least_squares_and_ridge(seed, n_samples=80, n_features=78)


@ridge_for_as_many_rows_as_columns.counter("L2, tuned: 1,000 rows for 20 columns")
def ridge_for_many_rows(seed):
    return least_squares_and_ridge(seed, n_samples=1000, n_features=20)


@ridge_for_as_many_rows_as_columns.counter("L2, tuned: 40 rows for 400 columns, where least squares of smallest norm is calm already")
def ridge_for_few_rows(seed):
    return least_squares_and_ridge(seed, n_samples=40, n_features=400)


@ridge_for_as_many_rows_as_columns.counter("L2, far too strong: 1,000 rows for 20 columns")
def ridge_far_too_strong(seed):
    return least_squares_and_ridge(seed, n_samples=1000, n_features=20, penalties=[10_000.0])


@ridge_for_as_many_rows_as_columns.counter("elastic net, tuned: each column has nine near copies that matter as much (60 rows)")
def elastic_net_among_near_copies(seed):
    return least_squares_and(ElasticNetCV(l1_ratio=0.5, cv=5), *near_copies(seed), n_train=60)


@ridge_for_as_many_rows_as_columns.counter("elastic net, tuned: all 20 columns matter (1,000 rows)")
def elastic_net_for_many_rows(seed):
    return least_squares_and(ElasticNetCV(l1_ratio=0.5, cv=5), *make_sparse_linear(3000, 20, 20, 1.0, seed), n_train=1000)


def least_squares_and_ridge(seed, n_samples, n_features, penalties=PENALTIES):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=n_features) / np.sqrt(n_features)
    X = rng.normal(size=(n_samples, n_features))
    y = X @ weights + rng.normal(size=n_samples)
    path = ridge_path(X, y, penalties)
    best = int(path.mean.argmin())
    plain = LinearRegression().fit(X, y)
    models = (plain.coef_, plain.intercept_), (path.coefficients[best], path.intercepts[best])
    # columns are standard normal and the noise is 1: the error on new rows is exact
    return Result(*(np.sqrt(1 + np.sum((w - weights) ** 2) + b**2) for w, b in models))
