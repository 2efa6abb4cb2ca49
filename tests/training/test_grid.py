"""train_grid against the same networks trained one at a time by a bare PyTorch loop."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from course_lib.training import grid as module
from course_lib.training.grid import train_grid

RATES, DECAYS = [0.01, 0.1], [0.0, 1e-2]


@pytest.fixture(autouse=True)
def nothing_remembered():
    module._REMEMBERED.clear()


def blobs(m=70, n=5, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=m)
    return rng.normal(size=(m, n)) + np.eye(classes, n)[y] * 2, y


class SharedDropout(nn.Module):
    """Dropout that draws one mask of shape (units, rows) a call from its own generator."""

    def __init__(self, rate, generator):
        super().__init__()
        self.rate, self.generator = rate, generator

    def forward(self, h):
        if not self.training:
            return h
        drawn = torch.rand(h.shape[1], h.shape[0], generator=self.generator, dtype=h.dtype).T
        return h * (drawn >= self.rate) / (1 - self.rate)


def alone(X, y, rate, decay, dropout=0.0, hidden=(8,), num_steps=30, batch_size=16, activation=nn.ReLU, seed=0, marks=(0, 30)):
    """Train one nn.Sequential with torch.optim.SGD; return its losses at `marks`, the network, and its loss function."""
    X, y = torch.tensor(X), torch.tensor(y)
    classes = not y.is_floating_point()
    sizes = [X.shape[1], *hidden, int(y.max()) + 1 if classes else 1]
    torch.manual_seed(seed)
    masks = torch.Generator().manual_seed(seed + 1)
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        layers += [nn.Linear(n_in, n_out).to(X.dtype), activation(), SharedDropout(dropout, masks)]
    network = nn.Sequential(*layers[:-2])

    def loss(X, y):
        output = network(X)
        return nn.functional.cross_entropy(output, y) if classes else ((output[:, 0] - y) ** 2).mean()

    def evaluated():
        network.eval()
        with torch.no_grad():
            value = loss(X, y).item()
        network.train()
        return value

    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9, weight_decay=decay)
    order, found, step = torch.Generator().manual_seed(seed), [], 0
    while True:
        for rows in torch.randperm(len(X), generator=order).split(batch_size):
            if step in marks:
                found.append(evaluated())
            if step == num_steps:
                return np.array(found), network
            optimizer.zero_grad()
            loss(X[rows], y[rows]).backward()
            optimizer.step()
            step += 1


@pytest.mark.parametrize("hidden, activation", [((), "relu"), ((8,), "relu"), ((8, 6, 4), "tanh")])
def test_each_entry_is_what_the_network_gets_alone(hidden, activation):
    X, y = blobs()
    grid = train_grid(X, y, hidden=hidden, learning_rates=RATES, weight_decays=DECAYS, num_steps=30, batch_size=16,
                      num_checkpoints=4, activation=activation, dtype="float64")  # fmt: skip
    for i, rate in enumerate(RATES):
        for j, decay in enumerate(DECAYS):
            losses, network = alone(X, y, rate, decay, hidden=hidden, marks=grid.steps,
                                    activation={"relu": nn.ReLU, "tanh": nn.Tanh}[activation])  # fmt: skip
            np.testing.assert_allclose(grid.train_losses[i, j, 0], losses, atol=1e-9, rtol=0)
            trained = [p.detach().numpy() for p in network.parameters()]
            for ours, theirs in zip([p for layer in grid.weights(i, j) for p in layer], trained, strict=True):
                np.testing.assert_allclose(ours, theirs, atol=1e-9, rtol=0)


def test_an_entry_is_what_fit_gives():
    from course_lib.training.fit import fit

    X, y = blobs()
    grid = train_grid(X, y, hidden=(8,), learning_rates=RATES, weight_decays=DECAYS, num_epochs=5, batch_size=16,
                      random_state=3, dtype="float64")  # fmt: skip
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=RATES[1], momentum=0.9, weight_decay=DECAYS[1])
    fit(network, (X, y), optimizer=optimizer, num_epochs=5, batch_size=16, random_state=3, device="cpu", progress=False)
    for (W, b), layer in zip(grid.weights(1, 1), network[::2], strict=True):
        np.testing.assert_allclose(W, layer.weight.detach(), atol=1e-9)
        np.testing.assert_allclose(b, layer.bias.detach(), atol=1e-9)


def test_dropout_equals_the_network_alone_with_the_same_masks():
    X, y = blobs()
    grid = train_grid(
        X, y, hidden=(8, 6), learning_rates=RATES, dropouts=[0.0, 0.5], num_steps=30, batch_size=16, dtype="float64"
    )
    for k, p in enumerate([0.0, 0.5]):
        losses, _ = alone(X, y, RATES[1], 0.0, dropout=p, hidden=(8, 6), marks=grid.steps)
        np.testing.assert_allclose(grid.train_losses[1, 0, k], losses, atol=1e-9, rtol=0)


def test_regression_equals_the_network_alone():
    X, _ = blobs()
    y = np.sin(X[:, 0])
    grid = train_grid(X, y, hidden=(8,), learning_rates=0.01, num_steps=30, batch_size=16, num_checkpoints=2, dtype="float64")
    losses, network = alone(X, y, 0.01, 0.0)
    np.testing.assert_allclose(grid.train_losses[0, 0, 0], losses, atol=1e-9, rtol=0)
    np.testing.assert_allclose(grid.predict(X, 0), network.eval()(torch.tensor(X))[:, 0].detach(), atol=1e-9)
    assert grid.train_accuracies is None and grid.validation_losses is None
    with pytest.raises(ValueError, match="no classes"):
        grid.predict_proba(X, 0)


@settings(max_examples=15, deadline=None)
@given(rates=st.lists(st.floats(1e-3, 0.1), min_size=1, max_size=3), decays=st.lists(st.floats(0, 0.1), min_size=1, max_size=3),
       dropouts=st.lists(st.floats(0, 0.9), min_size=1, max_size=3), seed=st.integers(0, 9))  # fmt: skip
def test_an_entry_does_not_depend_on_its_neighbours(rates, decays, dropouts, seed):
    X, y = blobs(40)
    settings = dict(num_epochs=2, batch_size=16, random_state=seed, num_checkpoints=3, dtype="float64")
    grid = train_grid(X, y, learning_rates=rates, weight_decays=decays, dropouts=dropouts, **settings)
    single = train_grid(X, y, learning_rates=rates[-1], weight_decays=decays[-1], dropouts=dropouts[-1], **settings)
    np.testing.assert_allclose(grid.train_losses[-1, -1, -1], single.train_losses[0, 0, 0], rtol=1e-9)


def test_float32_gives_the_stable_losses_too():
    X, y = blobs()
    settings = dict(learning_rates=RATES, weight_decays=DECAYS, num_epochs=5, batch_size=16)
    single, double = (train_grid(X, y, dtype=dtype, **settings) for dtype in ("float32", "float64"))
    np.testing.assert_allclose(single.train_losses, double.train_losses, rtol=1e-4)


def test_a_diverged_configuration_harms_no_other():
    X, y = blobs()
    X_large = X * 100
    settings = dict(num_epochs=20, batch_size=16, validation=(X_large, y), num_checkpoints=5)
    grid = train_grid(X_large, X_large[:, 0], learning_rates=[1e-8, 10.0], **settings | {"validation": (X_large, X_large[:, 0])})
    assert np.isfinite(grid.train_losses[0]).all() and not np.isfinite(grid.train_losses[1, ..., -1]).any()
    assert grid.best == (0, 0, 0)
    grid = train_grid(X_large, y, learning_rates=[1e-5, 1e30], **settings)
    assert np.isfinite(grid.validation_losses[0]).all() and np.isnan(grid.validation_accuracies[1, ..., -1]).all()
    alone = train_grid(X_large, y, learning_rates=[1e-5], **settings)
    np.testing.assert_allclose(grid.validation_losses[0], alone.validation_losses[0], rtol=1e-5)


def test_checkpoints_validation_and_predictions_agree():
    X, y = blobs(90)
    grid = train_grid(
        X[:60], y[:60], learning_rates=RATES, dropouts=[0, 0.3], num_epochs=6, batch_size=25, validation=(X[60:], y[60:])
    )
    assert grid.steps[0] == 0 and grid.steps[-1] == 18 and grid.finished  # 60 rows are 3 batches
    assert grid.validation_accuracies.shape == (2, 1, 2, len(grid.steps))
    assert np.ptp(grid.train_losses[..., 0]) == 0 and (grid.train_losses[..., -1] < grid.train_losses[..., 0]).all()
    for i, k in [(0, 0), (1, 1)]:
        assert grid.validation_accuracies[i, 0, k, -1] == np.mean(grid.predict(X[60:], i, 0, k) == y[60:])
        chances = grid.predict_proba(X[60:], i, 0, k)
        np.testing.assert_allclose(-np.log(chances[range(30), y[60:]]).mean(), grid.validation_losses[i, 0, k, -1], rtol=1e-5)
    best = np.unravel_index(grid.validation_losses[..., -1].argmin(), (2, 1, 2))
    assert grid.best == tuple(best)


def test_blocks_do_not_change_what_is_measured(monkeypatch):
    X, y = blobs()
    whole = train_grid(X, y, learning_rates=RATES, num_epochs=2, dtype="float64")
    monkeypatch.setattr(module, "NUMBERS_AT_ONCE", 300)
    module._REMEMBERED.clear()
    np.testing.assert_allclose(
        train_grid(X, y, learning_rates=RATES, num_epochs=2, dtype="float64").train_losses, whole.train_losses
    )


def test_it_trains_in_a_thread_says_how_far_it_is_and_stops():
    X, y = blobs()
    seen, stopping, answers = [], threading.Event(), []

    def progress(done, total):
        seen.append((done, total))
        if done >= 50:
            stopping.set()

    def work():
        answers.append(
            train_grid(X, y, learning_rates=RATES, num_steps=100, num_checkpoints=11, progress=progress, stop=stopping.is_set)
        )

    state = torch.random.get_rng_state()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(step, 100) for step in range(0, 51, 10)]
    assert not answers[0].finished and answers[0].steps.tolist() == [0, 10, 20, 30, 40, 50]
    assert answers[0].train_losses.shape[-1] == 6
    assert torch.equal(state, torch.random.get_rng_state())  # the notebook's own random numbers are left alone
    full = train_grid(X, y, learning_rates=RATES, num_steps=100, num_checkpoints=11)
    assert full.finished and np.array_equal(full.train_losses[..., :6], answers[0].train_losses)


def test_the_same_call_is_answered_at_once_and_another_is_not():
    X, y = blobs()
    first = train_grid(X, y, learning_rates=RATES, num_epochs=1)
    assert train_grid(X.copy(), list(y), learning_rates=tuple(RATES), num_epochs=1) is first
    assert train_grid(X, y, learning_rates=RATES, num_epochs=1, random_state=1) is not first
    assert train_grid(X + 1e-9, y, learning_rates=RATES, num_epochs=1) is not first
    with pytest.raises(ValueError, match="read-only"):
        first.train_losses[0] = 0
    for seed in range(2, 12):
        train_grid(X, y, learning_rates=0.1, num_epochs=1, random_state=seed)
    assert len(module._REMEMBERED) == 8


@pytest.mark.parametrize(
    "change, error, message",
    [
        (dict(X=np.full((70, 5), np.nan)), ValueError, "X has 350 NaN"),
        (dict(X=np.zeros(70)), ValueError, "X must have 2 axes"),
        (dict(y=np.zeros(60, int)), ValueError, "70 and 60"),
        (dict(y=np.zeros(70, int) - 1), ValueError, "y must hold classes from 0 on; got -1"),
        (dict(y=np.array(["a"] * 70)), TypeError, "y must hold real numbers"),
        (dict(learning_rates=[0.1, -1]), ValueError, "learning_rates must be above 0"),
        (dict(learning_rates=[]), ValueError, "learning_rates is empty"),
        (dict(learning_rates=[[0.1]]), ValueError, "learning_rates must be one number or a list"),
        (dict(weight_decays=-0.1), ValueError, "weight_decays must be 0 or above"),
        (dict(dropouts=[1.0]), ValueError, "dropouts must be in"),
        (dict(dropouts=[]), ValueError, "dropouts must be one number or a list"),
        (dict(hidden=(0,)), ValueError, "hidden must be at least 1"),
        (dict(hidden=8), TypeError, "hidden must be a list"),
        (dict(num_epochs=None), ValueError, "either num_epochs or num_steps"),
        (dict(num_steps=5), ValueError, "either num_epochs or num_steps"),
        (dict(num_epochs=0), ValueError, "num_epochs must be at least 1"),
        (dict(batch_size=0), ValueError, "batch_size must be at least 1"),
        (dict(momentum=1.0), ValueError, "momentum must be in"),
        (dict(activation="gelu"), ValueError, "activation must be one of 'relu', 'tanh'"),
        (dict(dtype="float16"), ValueError, "dtype must be one of"),
        (dict(random_state=None), TypeError, "random_state must be a whole number"),
        (dict(validation=np.zeros((4, 5))), TypeError, r"validation must be \(X, y\)"),
        (dict(validation=(np.zeros((4, 3)), np.zeros(4, int))), ValueError, "validation must have the columns of X"),
        (dict(validation=(np.zeros((4, 5)), np.zeros(4))), ValueError, "the kind of y"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    X, y = blobs()
    arguments = dict(X=X, y=y, learning_rates=RATES, num_epochs=1) | change
    with pytest.raises(error, match=message):
        train_grid(arguments.pop("X"), arguments.pop("y"), **arguments)


def test_predict_wants_the_columns_of_training():
    X, y = blobs()
    grid = train_grid(X, y, learning_rates=RATES, num_epochs=1)
    with pytest.raises(ValueError, match="X must have 5 columns"):
        grid.predict(X[:, :3], 0)
