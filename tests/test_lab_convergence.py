"""Chapter 10's live figure: the passes behind it against torch autograd, and its words against its numbers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.labs import convergence as lab
from course_lib.labs.convergence import ACTIVATIONS, AXES, DEEPEST, SignalLab, network_gradients, signal_flow, verdict

TORCH = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "ReLU": torch.relu, "GELU": torch.nn.functional.gelu}


def forward(weights, head, X, activation, normalisation, residual):
    """The same network in PyTorch; returns its output and the signals, with their gradients kept."""
    signals = [X.requires_grad_()]
    for W in weights:
        z = signals[-1] @ W
        if normalisation == "batch":
            z = torch.nn.functional.batch_norm(z, None, None, training=True)
        elif normalisation == "layer":
            z = torch.nn.functional.layer_norm(z, z.shape[1:])
        h = TORCH[activation](z)
        signals.append(h + signals[-1] if residual else h)
        signals[-1].retain_grad()
    return signals[-1] @ head, signals


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("normalisation", AXES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_autograd(activation, normalisation, residual):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(7, 5)), rng.integers(10, size=7)
    weights, head = rng.normal(size=(4, 5, 5)), rng.normal(size=(5, 10))
    loss, signals, back, by_weights, by_head = network_gradients(weights, head, X, y, activation, normalisation, residual)
    leaves = [torch.tensor(W, requires_grad=True) for W in (*weights, head)]
    output, kept = forward(leaves[:-1], leaves[-1], torch.tensor(X), activation, normalisation, residual)
    expected = torch.nn.functional.cross_entropy(output, torch.tensor(y))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(signals, [h.detach() for h in kept], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(back, [h.grad for h in kept], rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(by_weights, [W.grad for W in leaves[:-1]], rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(by_head, leaves[-1].grad, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("settings", [("ReLU", "none", True), ("GELU", "layer", False), ("tanh", "batch", True)])
def test_three_steps_are_those_of_clipped_descent_in_torch(settings):
    X, y, weights, head = (torch.tensor(array) for array in lab.start_of(8))
    leaves = [(1.5 * W).requires_grad_() for W in weights] + [head.requires_grad_()]
    sgd, losses = torch.optim.SGD(leaves, lab.RATE), []
    for _ in range(lab.STEPS + 1):
        sgd.zero_grad()
        output, _ = forward(leaves[:-1], leaves[-1], X.detach().clone(), *settings)
        losses.append(torch.nn.functional.cross_entropy(output, y))
        losses[-1].backward()
        norms = [leaf.grad.norm().item() for leaf in leaves]
        torch.nn.utils.clip_grad_norm_(leaves, lab.LONGEST)
        sgd.step()
    found = signal_flow(8, settings[0], 1.5, *settings[1:])
    assert found["losses"] == pytest.approx((losses[0].item(), losses[-1].item()), rel=1e-4)  # torch adds 1e-6 to the norm
    np.testing.assert_allclose(found["weights"][1], norms, rtol=1e-3)
    assert losses[-1] < losses[0]


@given(st.floats(0.125, 8), st.integers(2, DEEPEST))
def test_relu_multiplies_the_signal_by_the_width_of_the_start(width, depth):
    """max(0, s z) = s max(0, z): layer after layer, exactly."""
    signal = signal_flow(depth, "ReLU", width)["signal"][0]
    np.testing.assert_allclose(signal, signal_flow(depth, "ReLU", 1.0)["signal"][0] * width ** np.arange(depth), rtol=1e-9)


def test_what_all_rows_share_is_no_signal():
    X, y, weights, head = lab.start_of(5)
    assert signal_flow(5)["signal"][0][0] == pytest.approx(np.sqrt(X.var(0).mean()))
    _, signals, *_ = network_gradients(weights, head, X, y, "sigmoid")
    last = signals[-1]
    assert signal_flow(5)["signal"][0][-1] == pytest.approx(np.sqrt(np.mean((last - last.mean(0)) ** 2)))
    assert np.sqrt(np.mean(last**2)) > 0.4 > 0.05 > signal_flow(5)["signal"][0][-1]


@pytest.mark.parametrize("normalisation", AXES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_corner_of_the_sliders_has_finite_numbers(activation, normalisation):
    for depth in (2, DEEPEST):
        for start in (0.125, 8.0):
            for residual in (False, True):
                found = signal_flow(depth, activation, start, normalisation, residual)
                assert all(np.isfinite(value).all() and np.min(value) > 0 for value in found.values()), (depth, start, residual)
                assert all(len(values) == depth for name in ("signal", "gradient", "weights") for values in found[name])


@pytest.mark.parametrize(("settings", "said"), [
    ({"depth": 10, "activation": "sigmoid"}, "fades"),
    ({"depth": 10, "activation": "sigmoid", "normalisation": "batch"}, "is healthy"),
    ({"depth": 10, "activation": "sigmoid", "normalisation": "layer"}, "fades"),
    ({"depth": 2, "activation": "sigmoid"}, "is healthy"),
    ({"depth": 30, "activation": "ReLU"}, "is healthy"),  # He's width
    ({"depth": 30, "activation": "ReLU", "start": 0.41}, "fades"),  # PyTorch's default: a variance of 1/(3n), not 2/n
    ({"depth": 30, "activation": "ReLU", "start": 1.5}, "bursts"),
    ({"depth": 30, "activation": "ReLU", "normalisation": "batch"}, "bursts"),
    ({"depth": 30, "activation": "ReLU", "residual": True}, "bursts"),
    ({"depth": 30, "activation": "ReLU", "residual": True, "start": 0.19}, "is healthy"),  # a branch of 1/sqrt(L)
    ({"depth": 30, "activation": "ReLU", "residual": True, "normalisation": "layer"}, "is healthy"),
])  # fmt: skip
def test_verdicts(settings, said):
    found = signal_flow(**settings)
    assert verdict(found) == said
    ratio = found["gradient"][0][0] / found["gradient"][0][-1]
    assert ratio == pytest.approx(found["backwards"] ** (settings["depth"] - 1))
    assert (said == "fades") == (ratio < 1 / lab.HEALTHY) and (said == "bursts") == (ratio > lab.HEALTHY)


def test_words_and_curves_follow_the_sliders():
    live = SignalLab()
    assert "The gradient fades" in live.alt and "the first of 10 layers gets 1/41,000 of what the last gets" in live.alt
    live.controls["residual"].value = True
    live.controls["activation"].value = "ReLU"
    assert "The gradient bursts" in live.alt and "gets 62 times what" in live.alt
    live.controls["depth"].value = 3
    assert "The gradient is healthy" in live.alt and f"guessing has {math.log(10):.2f}" in live.alt
    gradient = live.arrays["gradient"]
    for line, values in zip(live.lines["gradient"], (gradient[1], gradient[0])):
        np.testing.assert_allclose(line.get_ydata(), np.log10(values / values[-1]))
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])


def test_what_is_beyond_the_picture_is_put_on_its_border():
    np.testing.assert_allclose(lab.exponents(np.array([1e-20, 1e-3, 1e30])), [lab.SHOWN[0], -3, lab.SHOWN[1]])
