"""Chapter 05: overfitting and underfitting, and what helps against which of them (B 8.3.2.1)."""

import numpy as np
from numpy.polynomial import Polynomial
from sklearn.linear_model import ElasticNetCV, LassoCV, LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from course_lib.datasets import load_digits, make_gaussian_classes, make_mnist1d, make_polynomial, make_sparse_linear
from course_lib.evidence.registry import Result, claim
from course_lib.objectives import L2, MeanSquaredError
from course_lib.validation import ridge_path

PENALTIES = np.logspace(-2, 5, 36)


def rmse(prediction, y):
    return float(np.sqrt(np.mean((prediction - y) ** 2)))


def wrong(model, X, y):
    """The share of wrong labels."""
    return float(np.mean(model.predict(X) != y))


def network(n_features, n_hidden, seed, n_outputs=10, dropout=0.0):
    """A linear model for n_hidden = 0, else one hidden layer of ReLUs; its start is drawn from the seed."""
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if n_hidden == 0:
            return nn.Linear(n_features, n_outputs)
        return nn.Sequential(nn.Linear(n_features, n_hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(n_hidden, n_outputs))


def train(model, X, y, seed, num_steps=400, batch_size=50, learning_rate=5e-3, weight_decay=0.0, **options):
    """AdamW for the same number of steps, however many rows there are. Returns the history."""
    import torch

    from course_lib.training.fit import fit

    optimizer = torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=weight_decay)
    num_epochs = num_steps * batch_size // len(y)
    return fit(model, (X, y), optimizer=optimizer, num_epochs=num_epochs, batch_size=batch_size, random_state=seed,
               progress=False, **options)  # fmt: skip


def output(model, X):
    """What the network says, with its dropout off."""
    import torch

    with torch.no_grad():
        return model.eval()(torch.tensor(X, dtype=torch.float32)).numpy()


def wrong_of_network(model, X, y):
    return float(np.mean(output(model, X).argmax(axis=1) != y))


def few_digits(seed, random_labels=0.0):
    """X, y, X_new, y_new: 300 images to train on, that share of them with a label drawn by chance, and all the others."""
    X, y = load_digits()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    X, y = X[order] / 16, y[order]
    labels = np.where(rng.random(300) < random_labels, rng.integers(0, 10, 300), y[:300])
    return X[:300], labels, X[300:], y[300:]


def waves(seed, n_train=1000):
    """X, y, X_new, y_new of MNIST-1D: no label is wrong by chance."""
    X, y = make_mnist1d(n_train + 3000, random_state=seed)
    return X[:n_train], y[:n_train], X[n_train:], y[n_train:]


def digits_network(seed, random_labels=0.0, n_hidden=256, dropout=0.0, **options):
    X, y, X_new, y_new = few_digits(seed, random_labels)
    model = network(64, n_hidden, seed, dropout=dropout)
    train(model, X, y, seed, **options)
    return wrong_of_network(model, X_new, y_new)


def waves_network(seed, n_hidden=256, dropout=0.0, **options):
    X, y, X_new, y_new = waves(seed)
    model = network(40, n_hidden, seed, dropout=dropout)
    train(model, X, y, seed, batch_size=100, **options)
    return wrong_of_network(model, X_new, y_new)


@claim("B-8.3.2.1-1", metric="share of wrong labels on new rows, before and after the training error was lowered",
       expects="higher", margin=0.02, seeds=20, when="60 random features become 200, as many as there are rows")  # fmt: skip
def up_to_the_number_of_rows(seed):
    return random_features_grow(seed, 60, 200)


@up_to_the_number_of_rows.counter("10 random features become 60")
def from_too_few_features(seed):
    return random_features_grow(seed, 10, 60)


@up_to_the_number_of_rows.counter("60 random features become 3,000, far more than there are rows (double descent)")
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


@gap_of_too_high_a_degree.counter("one of degree 3 is fitted to 1,000 points")
def gap_of_the_right_degree(seed):
    return training_and_new(seed, degree=3, n_samples=1000)


@gap_of_too_high_a_degree.counter("one of degree 15 is fitted to 20,000 points")
def gap_with_many_rows(seed):
    return training_and_new(seed, degree=15, n_samples=20_000)


@claim("B-8.3.2.1-3", metric="RMSE (noise 0.5): on the rows of the training, and elsewhere", expects="lower",
       scale="ratio", margin=0.05, seeds=20,
       when="a constant is fitted to a cubic (underfits, and both errors are high)")  # fmt: skip
def constant_for_a_cubic(seed):
    return training_and_new(seed, degree=0, n_samples=2000)


@constant_for_a_cubic.counter("a straight line is fitted to a cubic (underfits too)")
def line_for_a_cubic(seed):
    return training_and_new(seed, degree=1, n_samples=2000)


@constant_for_a_cubic.counter("the y elsewhere carry no noise, though nothing underfits (degree 3)")
def judged_without_noise(seed):
    return training_and_new(seed, degree=3, n_samples=2000, noise_elsewhere=0.0)


@constant_for_a_cubic.counter("the training error of a network is taken with dropout on, as a progress bar shows it")
def judged_with_dropout(seed):
    X, y = make_polynomial(2000, noise=0.5, random_state=seed)
    X_new, y_new = make_polynomial(5000, noise=0.5, random_state=[seed, 1])
    model = network(1, 64, seed, n_outputs=1, dropout=0.5)
    mse = train(model, X, y, seed, learning_rate=1e-2).frame["loss"].iloc[-1]
    return Result(np.sqrt(mse), rmse(output(model, X_new)[:, 0], y_new))


def training_and_new(seed, degree, n_samples, noise_elsewhere=0.5):
    X, y = make_polynomial(n_samples, noise=0.5, random_state=seed)
    X_new, y_new = make_polynomial(5000, noise=noise_elsewhere, random_state=[seed, 1])
    curve = Polynomial.fit(X[:, 0], y, degree, domain=[-1, 1])
    return Result(rmse(curve(X[:, 0]), y), rmse(curve(X_new[:, 0]), y_new))


@claim("B-8.3.2.1-4", metric="share of wrong labels on new rows", expects="lower", margin=0.01, seeds=12,
       when="a tree gets 4 levels instead of all it wants, and the classes overlap")  # fmt: skip
def tree_of_four_levels(seed):
    return whole_tree_and_small(make_gaussian_classes(6000, separation=2.0, random_state=seed))


@tree_of_four_levels.counter("a tree gets 4 levels, and no label is wrong by chance (1,000 waves)")
def tree_of_four_levels_for_waves(seed):
    return whole_tree_and_small(make_mnist1d(3000, random_state=seed))


@tree_of_four_levels.counter("a network gets 16 units instead of 256, and 40 % of the labels are random (300 digits)")
def narrow_network_for_noisy_digits(seed):
    return Result(*(digits_network(seed, random_labels=0.4, n_hidden=n_hidden) for n_hidden in (256, 16)))


@tree_of_four_levels.counter("a network gets 16 units instead of 256, and no label is wrong by chance (1,000 waves)")
def narrow_network_for_waves(seed):
    return Result(*(waves_network(seed, n_hidden=n_hidden) for n_hidden in (256, 16)))


def whole_tree_and_small(data, n_train=1000):
    X, y = data
    trees = (DecisionTreeClassifier(max_depth=depth, random_state=0) for depth in (None, 4))
    return Result(*(wrong(tree.fit(X[:n_train], y[:n_train]), X[n_train:], y[n_train:]) for tree in trees))


@claim("B-8.3.2.1-5", metric="RMSE on new rows", expects="lower", scale="ratio", margin=0.03, seeds=20,
       when="5 of 200 columns matter (100 rows)")  # fmt: skip
def lasso_where_few_matter(seed):
    return least_squares_and(LassoCV(cv=5, max_iter=10_000), *make_sparse_linear(2100, 200, 5, 0.5, seed), n_train=100)


@lasso_where_few_matter.counter("all 200 columns matter (100 rows)")
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


@claim("B-8.3.2.1-6", metric="share of wrong labels on new rows", expects="lower", margin=0.01, seeds=10,
       when="256 units overfit 300 digits, 20 % of them with a random label")  # fmt: skip
def dropout_for_noisy_digits(seed):
    return Result(*(digits_network(seed, random_labels=0.2, dropout=p) for p in (0.0, 0.5)))


@dropout_for_noisy_digits.counter("256 units learn 300 digits, every label right: there is little overfitting")
def dropout_for_clean_digits(seed):
    return Result(*(digits_network(seed, dropout=p) for p in (0.0, 0.5)))


@dropout_for_noisy_digits.counter("256 units overfit 1,000 waves, every label right")
def dropout_for_waves(seed):
    return Result(*(waves_network(seed, dropout=p) for p in (0.0, 0.5)))


@dropout_for_noisy_digits.counter("4 units underfit 300 digits, every label right")
def dropout_for_four_units(seed):
    return Result(*(digits_network(seed, n_hidden=4, dropout=p, learning_rate=1e-2) for p in (0.0, 0.5)))


@claim("B-8.3.2.1-7", metric="how far the training loss is from \"loss + a term of the weights\", in parts of it",
       expects="same", margin=1e-6, seeds=20,
       when="dropout is on: each pass has another loss, for the same weights and rows")  # fmt: skip
def dropout_at_each_pass(seed):
    import torch

    X, y, _, _ = few_digits(seed)
    model = network(64, 256, seed, dropout=0.5)
    train(model, X, y, seed, num_steps=120)
    X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        losses = torch.stack([torch.nn.functional.cross_entropy(model.train()(X), y) for _ in range(20)])
    # the term that fits best would be the same at each pass
    return Result(0.0, losses.std() / losses.mean())


@dropout_at_each_pass.counter("an L2 term is added to the loss")
def l2_at_each_pass(seed):
    objective = MeanSquaredError(*make_sparse_linear(50, 8, 8, 1.0, seed), penalty=L2(0.1))
    theta = np.random.default_rng(seed).normal(size=8)
    losses = np.array([objective.value(theta) for _ in range(20)])
    return Result(0.0, np.ptp(losses) / losses[0])


@dropout_at_each_pass.counter("dropout falls on the columns of a linear model, averaged over every mask: L2, a weight a column")
def dropout_of_columns_on_average(seed, p=0.5):
    X, y = make_sparse_linear(50, 8, 8, 1.0, seed)
    theta = np.random.default_rng(seed).normal(size=8)
    masks = (np.arange(2**8)[:, None] >> np.arange(8)) % 2  # at p = 0.5 each is equally likely
    over_masks = np.mean([np.mean((y - X * mask / (1 - p) @ theta) ** 2) for mask in masks])
    with_l2 = np.mean((y - X @ theta) ** 2) + p / (1 - p) * np.mean(X**2, axis=0) @ theta**2
    return Result(0.0, abs(over_masks - with_l2) / with_l2)


@claim("B-8.3.2.1-8", metric="share of wrong labels", expects="lower", margin=0.02, seeds=20,
       when="a linear model underfits waves: 4,000 become 16,000, judged on new rows")  # fmt: skip
def rows_for_a_linear_model(seed):
    return Result(*(new_rows for _, new_rows in linear_with(seed, 4000, 16_000)))


@rows_for_a_linear_model.counter("a linear model of waves is judged on its own rows: 1,000 become 4,000")
def rows_for_a_linear_model_on_its_own(seed):
    return Result(*(own_rows for own_rows, _ in linear_with(seed, 1000, 4000)))


@rows_for_a_linear_model.counter("a tree of two levels underfits waves: 1,000 become 4,000, judged on new rows")
def rows_for_a_small_tree(seed):
    X, y, X_new, y_new = waves(seed, n_train=4000)
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    return Result(*(wrong(tree.fit(X[:n], y[:n]), X_new, y_new) for n in (1000, 4000)))


@rows_for_a_linear_model.counter("256 units overfit waves (no own row wrong): 1,000 become 4,000, judged on new rows")
def rows_for_a_network(seed):
    X, y, X_new, y_new = waves(seed, n_train=4000)
    models = [network(40, 256, seed) for _ in range(2)]
    for model, n in zip(models, (1000, 4000)):
        train(model, X[:n], y[:n], seed, batch_size=100)
    return Result(*(wrong_of_network(model, X_new, y_new) for model in models))


def linear_with(seed, *sizes):
    """Wrong on its own rows, and on new ones, for each number of rows."""
    X, y, X_new, y_new = waves(seed, n_train=max(sizes))
    for n in sizes:
        model = LogisticRegression(tol=1e-2).fit(X[:n], y[:n])
        yield wrong(model, X[:n], y[:n]), wrong(model, X_new, y_new)


@claim("B-8.3.2.1-9", metric="share of wrong labels", expects="lower", margin=0.02, seeds=10,
       when="a linear model underfits 1,000 waves: copies moved by up to 4 points, judged on new rows")  # fmt: skip
def moves_for_a_linear_model(seed):
    return Result(*(new_rows for _, new_rows in plain_and_moved(seed, n_hidden=0)))


@moves_for_a_linear_model.counter("the linear model with moved copies is judged on its own rows")
def moves_for_a_linear_model_on_its_own(seed):
    return Result(*(own_rows for own_rows, _ in plain_and_moved(seed, n_hidden=0)))


@moves_for_a_linear_model.counter("256 units overfit 1,000 waves: moved copies, judged on new rows")
def moves_for_a_network(seed):
    return Result(*(new_rows for _, new_rows in plain_and_moved(seed, n_hidden=256)))


@moves_for_a_linear_model.counter("256 units overfit 1,000 waves: copies upside down, which makes a 6 of a 0, judged on new rows")
def waves_upside_down(seed):
    return Result(*(waves_network(seed, augment=augment) for augment in (None, turn_half)))


def plain_and_moved(seed, n_hidden):
    """Wrong on its own rows, and on new ones, without and with moves in a circle."""
    X, y, X_new, y_new = waves(seed)
    for augment in (None, move):
        model = network(40, n_hidden, seed)
        train(model, X, y, seed, batch_size=100, augment=augment)
        yield wrong_of_network(model, X, y), wrong_of_network(model, X_new, y_new)


def move(X, y, generator):
    import torch

    by = torch.randint(-4, 5, (len(X), 1), generator=generator)
    return X.gather(1, (torch.arange(X.shape[1]) - by) % X.shape[1]), y


def turn_half(X, y, generator):
    import torch

    return torch.where(torch.rand(len(X), 1, generator=generator) < 0.5, -X, X), y


@claim("B-8.3.2.1-10", metric="share of wrong labels on new rows", expects="lower", margin=0.02, seeds=10,
       when="more capacity where it underfits: linear model to 256 units (1,000 waves)")  # fmt: skip
def more_capacity_where_it_underfits(seed):
    return Result(waves_network(seed, n_hidden=0, learning_rate=1e-2), waves_network(seed))


@more_capacity_where_it_underfits.counter("more capacity where it overfits: 16 to 256 units (300 digits, 40 % random labels)")
def more_capacity_where_it_overfits(seed):
    return Result(*(digits_network(seed, random_labels=0.4, n_hidden=n_hidden) for n_hidden in (16, 256)))


@more_capacity_where_it_underfits.counter("better features: a linear model sees how strong each frequency is, too (1,000 waves)")
def frequencies_for_a_linear_model(seed):
    X, y, X_new, y_new = waves(seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return Result(*(wrong(model.fit(f(X), y), f(X_new), y_new) for f in (np.asarray, with_frequencies)))


@more_capacity_where_it_underfits.counter("longer training where it underfits: 20 to 400 steps (1,000 waves)")
def longer_where_it_underfits(seed):
    return Result(*(waves_network(seed, num_steps=num_steps) for num_steps in (20, 400)))


@more_capacity_where_it_underfits.counter("longer training where it overfits: 60 to 400 steps (300 digits, 40 % random labels)")
def longer_where_it_overfits(seed):
    return Result(*(digits_network(seed, random_labels=0.4, num_steps=num_steps) for num_steps in (60, 400)))


@more_capacity_where_it_underfits.counter("less regularisation where it underfits: weight decay 10 to 0 (1,000 waves)")
def less_weight_decay_where_it_underfits(seed):
    return Result(*(waves_network(seed, weight_decay=weight_decay) for weight_decay in (10.0, 0.0)))


@more_capacity_where_it_underfits.counter("weight decay where it overfits: 0 to 1 (300 digits, 20 % random labels)")
def weight_decay_where_it_overfits(seed):
    return Result(*(digits_network(seed, random_labels=0.2, weight_decay=weight_decay) for weight_decay in (0.0, 1.0)))


@more_capacity_where_it_underfits.counter("weight decay with little overfitting: 0 to 1 (300 digits)")
def weight_decay_for_clean_digits(seed):
    return Result(*(digits_network(seed, weight_decay=weight_decay) for weight_decay in (0.0, 1.0)))


@more_capacity_where_it_underfits.counter("early stopping where it overfits (240 digits and 60 to stop by, 40 % random labels)")
def early_stopping_where_it_overfits(seed):
    return to_the_end_and_stopped(seed, random_labels=0.4)


@more_capacity_where_it_underfits.counter("early stopping with little overfitting (240 digits and 60 to stop by)")
def early_stopping_for_clean_digits(seed):
    return to_the_end_and_stopped(seed, random_labels=0.0)


def with_frequencies(X):
    """A wave that is moved keeps the size of its frequencies."""
    return np.hstack([X, np.abs(np.fft.rfft(X))])


def to_the_end_and_stopped(seed, random_labels):
    """240 rows to the last step, and until the other 60 have not been better for 10 epochs."""
    X, y, X_new, y_new = few_digits(seed, random_labels)
    models = [network(64, 256, seed) for _ in range(2)]
    for model, patience in zip(models, (None, 10)):
        train(model, X[:240], y[:240], seed, validation=(X[240:], y[240:]), patience=patience)
    return Result(*(wrong_of_network(model, X_new, y_new) for model in models))


@claim("B-QA-1", metric="RMSE on new rows", expects="lower", scale="ratio", margin=0.03, seeds=20,
       when="L2, tuned: 80 rows for 78 columns")  # fmt: skip
def ridge_for_as_many_rows_as_columns(seed):
    return least_squares_and_ridge(seed, n_samples=80, n_features=78)


@ridge_for_as_many_rows_as_columns.counter("L2, tuned: 1,000 rows for 20 columns")
def ridge_for_many_rows(seed):
    return least_squares_and_ridge(seed, n_samples=1000, n_features=20)


@ridge_for_as_many_rows_as_columns.counter("L2, tuned: 40 rows for 400 columns")
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
