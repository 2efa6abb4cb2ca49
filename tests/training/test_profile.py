"""profile: operations and memory against closed forms, times against each other, and everything left as it was."""

import copy
import importlib

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from course_lib.training.gpt import GPT

module = importlib.import_module("course_lib.training.profile")
profile, matmul_peak = module.profile, module.matmul_peak
MIB = 2**20


@pytest.fixture(autouse=True)
def a_known_peak(monkeypatch):
    monkeypatch.setattr(module, "matmul_peak", lambda device, precision: 1e11)


def mlp(n_in=64, hidden=128, n_out=10):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, n_out))


def rows(m=32, n=64, classes=10):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(m, n, generator=generator), torch.randint(classes, (m,), generator=generator)


def test_operations_of_each_layer_are_the_formula():
    found = profile(mlp(), rows(), device="cpu", num_steps=1)
    gflops = found.frame.set_index("layer")["gflops"] * 1e9
    product = 2 * 32 * 64 * 128, 2 * 32 * 128 * 10
    assert gflops["0"] == pytest.approx(2 * product[0])  # forward, and weights backward: nobody wants the gradient of X
    assert gflops["2"] == pytest.approx(3 * product[1])
    assert gflops["1"] == gflops["loss"] == 0 and found.flops == pytest.approx(gflops.sum())


@pytest.mark.parametrize(
    "model, X",
    [
        (lambda: GPT(context=16, width=24, depth=2, heads=2), torch.zeros(5, 16, dtype=torch.long)),
        (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(8 * 36, 10)),
         torch.ones(6, 3, 8, 8)),
    ],
    ids=["gpt", "cnn"],
)  # fmt: skip
def test_operations_are_what_pytorch_counts(model, X):
    torch.manual_seed(0)
    model = model()
    y = X if isinstance(model, GPT) else torch.zeros(len(X), dtype=torch.long)
    found = profile(model, (X, y), device="cpu", num_steps=1)
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        model(X).sum().backward()
    assert found.flops == counter.get_total_flops() == pytest.approx(found.frame["gflops"].sum() * 1e9)
    if isinstance(model, GPT):
        assert found.flops == model.flops_per_token * X.numel()
        attention = found.frame.set_index("layer")["gflops"]["blocks.1.attention"] * 1e9
        assert attention == pytest.approx(12 * 24 * 16 * X.numel())


def test_memory_is_the_formula():
    model = mlp()
    found = profile(model, rows(), device="cpu", num_steps=1)
    weights = (64 * 128 + 128 + 128 * 10 + 10) * 4
    assert found.memory["weights"] == found.memory["gradients"] == pytest.approx(weights / MIB)
    assert found.memory["optimizer"] == pytest.approx(
        (2 * weights + 4 * 4) / MIB
    )  # two moments, and a step count for each of 4 tensors
    kept = found.frame.set_index("layer")["activations_mib"] * MIB
    assert kept["0"] == 0  # its input is the batch itself
    assert kept["1"] == pytest.approx(32 * 128 * 4)  # the output of ReLU, which the next layer keeps too: counted once
    assert kept["2"] == 0 and kept["loss"] == pytest.approx(32 * 10 * 4 + 4)
    assert found.memory["activations"] == pytest.approx(kept.sum() / MIB)


def test_plain_sgd_keeps_no_state_and_frozen_weights_no_gradient():
    model = mlp()
    model[0].requires_grad_(False)
    found = profile(model, rows(), device="cpu", num_steps=1, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    assert found.memory["optimizer"] == 0
    assert found.memory["gradients"] == pytest.approx((128 * 10 + 10) * 4 / MIB)


def test_memory_grows_with_the_rows_and_weights_do_not():
    small, large = (profile(mlp(), rows(m), device="cpu", num_steps=1) for m in (16, 64))
    assert large.memory["activations"] == pytest.approx(4 * small.memory["activations"], rel=0.01)
    assert large.memory["weights"] == small.memory["weights"] and large.flops == 4 * small.flops


def test_times_of_the_layers_add_up_to_the_phases_and_the_heavy_layer_takes_most():
    model = nn.Sequential(nn.Linear(64, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))
    found = profile(model, rows(256), device="cpu")
    np.testing.assert_allclose(found.frame["forward_ms"].sum(), found.phases["forward"])
    np.testing.assert_allclose(found.frame["backward_ms"].sum(), found.phases["backward"])
    assert list(found.phases) == ["forward", "backward", "optimizer"] and min(found.phases.values()) > 0
    assert found.seconds == pytest.approx(sum(found.phases.values()) / 1000)
    assert found.share_of_peak == pytest.approx(found.flops / found.seconds / 1e11)
    by_layer = found.frame.set_index("layer")
    assert (by_layer["forward_ms"] + by_layer["backward_ms"]).idxmax() == "2"
    assert by_layer.loc["2", "forward_ms"] > found.phases["forward"] / 3
    spent = (by_layer.loc["2", "forward_ms"] + by_layer.loc["2", "backward_ms"]) / 1000
    assert by_layer.loc["2", "share_of_peak"] == pytest.approx(by_layer.loc["2", "gflops"] * 1e9 / spent / 1e11)


def test_what_a_block_does_itself_is_its_own_and_containers_are_left_out():
    model = GPT(context=8, width=8, depth=1, heads=2)
    X = torch.zeros(2, 8, dtype=torch.long)
    layers = profile(model, (X, X), device="cpu", num_steps=1).frame
    assert "blocks" not in set(layers["layer"])
    kinds = layers.set_index("layer")["kind"]
    assert kinds["blocks.0.attention"] == "Attention" and kinds["blocks.0"] == "Block" and kinds["head"] == "Linear"
    assert layers["parameters"].sum() == sum(p.numel() for p in model.parameters()) + 256 * 8  # tied: it stands in both layers
    nested = nn.Sequential(nn.Sequential(nn.Linear(64, 10)))
    assert profile(nested, rows(), device="cpu", num_steps=1).frame["layer"].tolist() == ["0.0", "loss"]


def test_the_time_of_a_layer_inside_is_not_charged_to_the_one_around():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.heavy = nn.Linear(1024, 1024)

        def forward(self, x):
            return self.heavy(x)[:, :10] + 1

    layers = profile(Outer(), rows(512, 1024), device="cpu").frame.set_index("layer")
    assert layers.loc["Outer", "forward_ms"] < layers.loc["heavy", "forward_ms"] / 2


def test_model_optimizer_and_random_numbers_are_left_as_they_were():
    model = nn.Sequential(mlp(), nn.BatchNorm1d(10), nn.Dropout(0.5)).eval()
    optimizer = torch.optim.AdamW(model.parameters())
    X, y = rows()
    nn.functional.cross_entropy(model(X), y).backward()
    optimizer.step()
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict(), [p.grad for p in model.parameters()]))
    random = torch.random.get_rng_state()
    profile(model, (X, y), optimizer=optimizer, device="cpu", num_steps=1)
    torch.testing.assert_close(
        (model.state_dict(), optimizer.state_dict(), [p.grad for p in model.parameters()]), before, atol=0, rtol=0
    )
    assert not model.training and torch.equal(random, torch.random.get_rng_state())
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in model.modules())


def test_hooks_are_removed_when_the_model_fails():
    model = mlp()
    calls = []

    def fails_later(output, y):
        calls.append(1)
        if len(calls) > 4:
            raise KeyError("late")
        return nn.functional.cross_entropy(output, y)

    with pytest.raises(KeyError, match="late"):
        profile(model, rows(), loss=fails_later, device="cpu", num_steps=1)
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in model.modules())


def test_bf16_keeps_half_of_the_bytes():
    full, half = (profile(mlp(), rows(512), device="cpu", precision=precision, num_steps=1) for precision in ("fp32", "bf16"))
    relu = [found.frame.set_index("layer").loc["1", "activations_mib"] for found in (full, half)]
    assert relu[1] == relu[0] / 2 and half.memory["weights"] == full.memory["weights"] and half.precision == "bf16"


def test_the_peak_is_plausible_and_remembered():
    peak = matmul_peak("cpu")
    assert 1e8 < peak < 1e14 and matmul_peak("cpu") == peak
    with pytest.raises(ValueError, match="precision must be one of"):
        matmul_peak("cpu", "int8")


def test_it_prints_nothing(capfd):
    profile(mlp(), rows(), device="cpu", num_steps=1)
    out = capfd.readouterr()
    assert out.out == out.err == ""


def test_the_picture_says_what_was_found():
    found = profile(mlp(), rows(), device="cpu", num_steps=1)
    alt = found.plot().alt
    assert alt == str(found) and "32 rows on cpu in fp32" in alt and "Memory in MiB: weights 0.03" in alt


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"num_steps": 0}, ValueError, "num_steps must be at least 1"),
        ({"precision": "int8"}, ValueError, "precision must be one of"),
        ({"device": "meta"}, ValueError, "device must be"),
        ({"batch": (torch.ones(3, 64), torch.zeros(2))}, ValueError, "the same number of rows; got 3 and 2"),
        ({"batch": [rows()]}, ValueError, "batch must be a pair"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    with pytest.raises(error, match=message):
        profile(mlp(), **{"batch": rows(), "device": "cpu"} | change)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    model = GPT.small()
    X = torch.zeros(8, 256, dtype=torch.long)
    found = profile(model, (X, X), device="cuda", precision="bf16")
    assert found.flops == model.flops_per_token * X.numel()
    np.testing.assert_allclose(found.frame["backward_ms"].sum(), found.phases["backward"])
    assert (found.frame.loc[found.frame["kind"] == "Linear", ["forward_ms", "backward_ms"]] > 0).all(None)
    assert next(model.parameters()).device.type == "cpu"
