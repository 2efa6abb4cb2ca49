"""Chapter 04: the program of source A 8.4, its steps and its faults."""

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split

from course_lib.datasets import load_boston_housing, load_diabetes, make_sparse_linear
from course_lib.descent import ClosedFormPath
from course_lib.evidence.registry import Result, claim
from course_lib.objectives import MeanSquaredError
from course_lib.validation import KFold, ridge_path

ALPHAS = np.append(0.0, np.logspace(-3, 3, 25))
PATIENTS = (353, 89)  # rows to train on and to test on, for the interval of splits that share rows


def rmse(prediction, y):
    return float(np.sqrt(np.mean((prediction - y) ** 2)))


def split(seed, data=None):
    """Training and test part, 80 to 20: X_train, X_test, y_train, y_test."""
    X, y = load_diabetes() if data is None else data
    return train_test_split(X, y, test_size=0.2, random_state=seed)


def scaled(X_train, X_test):
    """Both parts by the mean and deviation of the training rows."""
    mean, deviation = X_train.mean(axis=0), X_train.std(axis=0)
    return (X_train - mean) / deviation, (X_test - mean) / deviation


def with_ones(X):
    return np.column_stack([np.ones(len(X)), X])


@claim("A-8.4-1", metric="RMSE on test rows", expects="lower", scale="ratio", margin=0.005, seeds=50, overlap=PATIENTS,
       when="ridge is tuned instead of least squares, 442 patients and 10 columns")  # fmt: skip
def tuned_on_patients(seed):
    return least_squares_and_tuned(*split(seed))


@tuned_on_patients.counter("there are 80 rows for 78 columns")
def tuned_on_few_rows(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1080, 78))
    y = X @ rng.normal(size=78) / np.sqrt(78) + rng.normal(size=1080)
    return least_squares_and_tuned(X[:80], X[80:], y[:80], y[80:])


def least_squares_and_tuned(X, X_test, y, y_test):
    path = ridge_path(X, y, ALPHAS, cv=5, standardize=True)
    models = 0, 1 + int(path.mean[1:].argmin())
    return Result(*(rmse(X_test @ path.coefficients[i] + path.intercepts[i], y_test) for i in models))


@claim("A-8.4-5", metric="RMSE on test rows", expects="lower", seeds=50, overlap=(404, 102),
       when="the column of the number of rooms is dropped")  # fmt: skip
def rooms_dropped(seed):
    X, y = load_boston_housing()
    rooms = load_boston_housing().feature_names.index("RM")
    return with_and_without(X, np.delete(X, rooms, axis=1), y, seed)


@rooms_dropped.counter("100 columns of noise are dropped", overlap=(404, 102))
def noise_dropped(seed):
    X, y = load_boston_housing()
    noise = np.random.default_rng(seed).normal(size=(len(X), 100))
    return with_and_without(np.column_stack([X, noise]), X, y, seed)


def with_and_without(more, less, y, seed):
    parts = [split(seed, (X, y)) for X in (more, less)]
    return Result(*(rmse(LinearRegression().fit(X, t).predict(X_test), t_test) for X, X_test, t, t_test in parts))


@claim("A-8.4-6", "A-8.4-13", metric="test RMSE: scikit-learn's, and by hand", expects="same", margin=1e-6, seeds=20,
       overlap=PATIENTS, when="y is a column (m, 1), as the predictions are")  # fmt: skip
def column_of_y(seed):
    return library_and_by_hand(seed, lambda y: y)


@column_of_y.counter("y is flat (m,): the subtraction gives (m, m) residuals without a word", overlap=PATIENTS)
def flat_y(seed):
    return library_and_by_hand(seed, np.ravel)


def library_and_by_hand(seed, shaped):
    X, X_test, y, y_test = split(seed)
    prediction = LinearRegression().fit(X, y[:, None]).predict(X_test)
    return Result(np.sqrt(mean_squared_error(y_test, prediction)), rmse(prediction, shaped(y_test[:, None])))


@claim("A-8.4-7", metric="cross-validated RMSE: folds shuffled, and in the order of the file", expects="same",
       scale="ratio", margin=0.05, seeds=20, when="the order of the rows means nothing (diabetes)")  # fmt: skip
def folds_of_patients(seed):
    return shuffled_and_in_order(*load_diabetes(), seed)


@folds_of_patients.counter("neighbours stand together (housing, by town)")
def folds_of_towns(seed):
    return shuffled_and_in_order(*load_boston_housing(), seed)


def shuffled_and_in_order(X, y, seed):
    splitters = KFold(5, shuffle=True, random_state=seed), KFold(5)
    return Result(*(np.sqrt(ridge_path(X, y, [0], cv=cv).mean[0]) for cv in splitters))


@claim("A-8.4-8", metric="share of finite parameters after 1,000 steps at rate 0.01", expects="same", seeds=20,
       when="the columns are as they come", overlap=PATIENTS)  # fmt: skip
def descent_on_raw_columns(seed):
    X, _, y, _ = split(seed)
    return finite_parameters(X, y)


@descent_on_raw_columns.counter("they are standardised", overlap=PATIENTS)
def descent_on_scaled_columns(seed):
    X, X_test, y, _ = split(seed)
    return finite_parameters(scaled(X, X_test)[0], y)


def finite_parameters(X, y):
    """All of them, as the program takes for granted, and what its gradient with 1/m leaves finite."""
    theta = np.zeros(X.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(1000):
            theta = theta - 0.01 / len(y) * X.T @ (X @ theta - y)
    return Result(1.0, np.isfinite(theta).mean())


@claim("A-8.4-9", metric="RMSE on test rows: with an intercept, and without", expects="same", margin=1.0, seeds=20,
       when="the columns are standardised", overlap=PATIENTS)  # fmt: skip
def no_intercept(seed):
    return with_and_without_intercept(seed, centred=False)


@no_intercept.counter("they are, and y has mean 0 too", overlap=PATIENTS)
def no_intercept_needed(seed):
    return with_and_without_intercept(seed, centred=True)


def with_and_without_intercept(seed, centred):
    X, X_test, y, y_test = split(seed)
    X, X_test = scaled(X, X_test)
    shift = y.mean() if centred else 0.0
    models = LinearRegression(), LinearRegression(fit_intercept=False)
    return Result(*(rmse(model.fit(X, y - shift).predict(X_test), y_test - shift) for model in models))


@claim("A-8.4-11", metric="distance of the test RMSE from the truth, in parts of it", expects="same", margin=0.03,
       seeds=40, when="442 rows are split once, 80 to 20")  # fmt: skip
def one_split_of_few_rows(seed):
    return distance_from_the_truth(seed, n_samples=442)


@one_split_of_few_rows.counter("there are 50,000 rows")
def one_split_of_many_rows(seed):
    return distance_from_the_truth(seed, n_samples=50_000)


def distance_from_the_truth(seed, n_samples):
    data = make_sparse_linear(n_samples, 10, 10, noise=1.0, random_state=seed)
    X, X_test, y, y_test = split(seed, data)
    model = LinearRegression().fit(X, y)
    off = np.sum((model.coef_ - data.truth["coefficients"]) ** 2) + model.intercept_**2
    truth = np.sqrt(data.truth["bayes_mse"] + off)
    return Result(0.0, abs(rmse(model.predict(X_test), y_test) - truth) / truth)


@claim("A-8.4-14", metric="largest error of a parameter, in parts of the largest", expects="same", margin=0.01, seeds=20,
       when="1,000 steps at 0.01 with 1/m (scaled columns, column of ones)", overlap=PATIENTS)  # fmt: skip
def theta_as_printed(seed):
    return parameter_error(seed, rate=0.01 / 2, steps=1000)


@theta_as_printed.counter("50,000 steps at 0.1 with 2/m", overlap=PATIENTS)
def theta_when_flat(seed):
    return parameter_error(seed, rate=0.1, steps=50_000)


def parameter_error(seed, rate, steps):
    """0, as "optimised" says, and how far the parameters (intercept aside) are from the exact solution."""
    X, X_test, y, _ = split(seed)
    path = ClosedFormPath(MeanSquaredError(with_ones(scaled(X, X_test)[0]), y))
    off, exact = path.theta(steps, rate) - path.minimizer, path.minimizer
    return Result(0.0, np.abs(off[1:]).max() / np.abs(exact[1:]).max())
