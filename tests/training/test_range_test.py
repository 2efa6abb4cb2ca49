"""lr_range_test: what it finds, and that it leaves everything as it was."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.datasets import load_digits
from course_lib.training.range_test import lr_range_test


def digits():
    X, y = load_digits()
    return torch.tensor(X[:640] / 16, dtype=torch.float32), torch.tensor(y[:640]).long()


def network(seed=0, **settings):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10), **settings)


def quadratic(curvature):
    """A model with loss curvature/2 w^2 in one weight: plain gradient descent diverges from a rate of 2/curvature on."""
    model = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.ones_(model.weight)
    X = torch.ones(8, 1, dtype=torch.float64)
    return model, (X, torch.zeros(8, dtype=torch.float64)), lambda output, y: curvature / 2 * (output**2).mean()


@pytest.mark.parametrize("curvature", [1.0, 30.0])
def test_on_a_quadratic_it_diverges_after_the_largest_stable_rate(curvature):
    model, data, loss = quadratic(curvature)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    found = lr_range_test(model, data, loss=loss, optimizer=optimizer, start=1e-4, end=100, num_steps=200)
    weights = np.cumprod(np.r_[1.0, 1 - curvature * found.learning_rates[:-1]])
    np.testing.assert_allclose(found.losses, curvature / 2 * weights**2, rtol=1e-9)
    lowest = found.learning_rates[found.smoothed.argmin()]
    assert 1 / curvature < lowest < found.diverged_at and found.diverged_at > 2 / curvature
    assert found.suggestion == lowest / 10


def test_rates_grow_by_a_constant_factor_and_smoothing_is_the_stated_one():
    found = lr_range_test(network(), digits(), start=1e-5, end=1e-2, num_steps=50)
    assert found.diverged_at is None and len(found.losses) == 50
    np.testing.assert_allclose(found.learning_rates, np.geomspace(1e-5, 1e-2, 50))
    weights = 0.9 ** np.arange(50)[::-1]
    np.testing.assert_allclose(found.smoothed[-1], (weights * found.losses).sum() / weights.sum())


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_the_suggestion_trains_well(optimizer):
    X, y = digits()
    settings = {"momentum": 0.9} if optimizer is torch.optim.SGD else {}
    model = network()
    rate = lr_range_test(model, (X, y), optimizer=optimizer(model.parameters(), lr=1e-3, **settings)).suggestion

    def trained(rate):
        model = network()
        steps = optimizer(model.parameters(), lr=rate, **settings)
        for rows in [rows for _ in range(3) for rows in torch.arange(640).split(64)]:
            steps.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            steps.step()
        return nn.functional.cross_entropy(model.eval()(X), y).item()

    losses = {factor: trained(rate * factor) for factor in (1e-2, 1, 1e2)}
    assert losses[1] == min(losses.values()) and losses[1] < 0.5


def test_model_optimizer_and_random_numbers_are_left_as_they_were():
    X, y = digits()
    model = network().eval()
    model[0].train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.123)
    nn.functional.cross_entropy(model(X), y).backward()
    optimizer.step()  # an optimizer with a state, and gradients that someone still wants
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict(), [p.grad for p in model.parameters()]))
    random = torch.random.get_rng_state()
    lr_range_test(model, (X, y), optimizer=optimizer)
    torch.testing.assert_close(
        (model.state_dict(), optimizer.state_dict(), [p.grad for p in model.parameters()]), before, atol=0, rtol=0
    )
    assert model[0].training and not model[1].training and torch.equal(random, torch.random.get_rng_state())


def test_an_error_in_the_loss_leaves_the_model_as_it_was_too():
    model, calls = network(), []

    def fails_later(output, y):
        calls.append(1)
        if len(calls) == 5:
            raise KeyError("fifth")
        return nn.functional.cross_entropy(output, y)

    before = copy.deepcopy(model.state_dict())
    with pytest.raises(KeyError, match="fifth"):
        lr_range_test(model, digits(), loss=fails_later, start=0.1)
    torch.testing.assert_close(model.state_dict(), before, atol=0, rtol=0)


def test_a_seed_repeats_it_and_a_loader_will_do():
    X, y = digits()
    first, again, other = (lr_range_test(network(), (X, y), random_state=seed, num_steps=20) for seed in (0, 0, 1))
    assert np.array_equal(first.losses, again.losses) and not np.array_equal(first.losses, other.losses)
    loader = DataLoader(TensorDataset(X, y), batch_size=64)
    assert len(lr_range_test(network(), loader, num_steps=20, end=1e-3).losses) == 20


def test_a_loss_that_never_falls_gives_no_suggestion():
    model, data, _ = quadratic(1.0)
    found = lr_range_test(model, data, loss=lambda output, y: (output * 0).sum() + 1)
    assert found.suggestion is None and found.diverged_at is None and "never falls" in str(found)


def test_nan_ends_it():
    model, data, _ = quadratic(1.0)
    found = lr_range_test(model, data, loss=lambda output, y: output.sum() * (float("nan") if output.sum() < 1 else 1.0))
    assert np.isnan(found.losses[-1]) and found.diverged_at == found.learning_rates[-1]
    assert "Diverged" in found.plot().alt


def test_the_picture_says_what_was_found():
    found = lr_range_test(network(), digits())
    alt = found.plot().alt
    assert alt == str(found) and f"{found.suggestion:.2g}" in alt and f"Diverged at {found.diverged_at:.2g}" in alt


@pytest.mark.parametrize(
    "change, message",
    [
        ({"start": 0}, "start must be above 0"),
        ({"start": 1e-2, "end": 1e-3}, "end must be above start"),
        ({"num_steps": 5}, "num_steps must be at least 10"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"random_state": -1}, "random_state must be at least 0"),
        ({"device": "tpu"}, "device must be"),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        lr_range_test(network(), digits(), **change)


def test_a_loss_that_is_no_number_from_the_start_is_named():
    with pytest.raises(ValueError, match="the loss is nan before the first step"):
        lr_range_test(network(), digits(), loss=lambda output, y: output.sum() * float("nan"))
