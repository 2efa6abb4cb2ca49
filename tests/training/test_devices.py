"""Devices, precision and random states."""

import contextlib

import pytest
import torch
from torch import nn

from course_lib.training import devices

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here")


def test_a_named_device():
    assert devices.pick("cpu") == torch.device("cpu")
    assert devices.pick(torch.device("cpu")) == torch.device("cpu")


@GPU
def test_a_named_gpu_has_its_number():
    assert devices.pick("cuda") == torch.device("cuda", torch.cuda.current_device())


def test_none_takes_the_best_there_is():
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert devices.pick(None, nn.Linear(1, 1)).type == best


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", 7.5, "meta", "xpu"])
def test_a_name_that_is_none(name):
    with pytest.raises(ValueError, match="device must be 'cpu', 'cuda'"):
        devices.pick(name)


def test_a_gpu_of_too_high_a_number():
    with pytest.raises(ValueError, match=r"device='cuda:99' is not there\. This PyTorch .* sees 'cpu'"):
        devices.pick("cuda:99")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this Mac has it")
def test_apple_silicon_that_is_not_there():
    with pytest.raises(ValueError, match="device='mps' is not there: it needs a Mac"):
        devices.pick("mps")


def test_a_gpu_that_is_seen_is_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert devices.pick(None, nn.Linear(1, 1)) == torch.device("cuda:0")


def test_autocast_computes_in_the_named_precision():
    layer, cpu = nn.Linear(2, 2), torch.device("cpu")
    for name, dtype in devices.PRECISIONS.items():
        with devices.autocast(name, cpu)():
            assert layer(torch.ones(1, 2)).dtype == (dtype or torch.float32)
    assert devices.autocast("fp32", cpu) is contextlib.nullcontext


def test_only_fp16_needs_loss_scaling():
    assert [devices.loss_scaler(name, torch.device("cpu")) is None for name in devices.PRECISIONS] == [True, True, False]


def test_memory_is_that_of_the_process():
    import psutil

    assert devices.memory_mib(torch.device("cpu")) == pytest.approx(psutil.Process().memory_info().rss / 2**20, rel=0.05)


def test_seeded_repeats_inside_and_changes_nothing_outside():
    generators = devices.global_generators(torch.device("cpu"))
    before, drawn = torch.get_rng_state(), []
    for _ in range(2):
        with contextlib.suppress(KeyError), devices.seeded(generators, 3):
            drawn.append(torch.rand(4))
            raise KeyError
    assert torch.equal(*drawn) and torch.equal(torch.get_rng_state(), before)


@GPU
def test_the_gpu_generator_is_seeded_and_put_back_too():
    device = devices.pick("cuda")
    before, drawn = torch.cuda.get_rng_state(), []
    for _ in range(2):
        with devices.seeded(devices.global_generators(device), 3):
            drawn.append(torch.rand(4, device=device))
    assert torch.equal(*drawn) and torch.equal(torch.cuda.get_rng_state(), before)
