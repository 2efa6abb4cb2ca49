"""Chapter 07's live figure: its bytes and operations against PyTorch's own, and its words against its numbers."""

import contextlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from course_lib.labs import compute_limits as lab
from course_lib.labs.compute_limits import DEVICES, PRECISIONS, SIZES, STATES, BudgetLab, budget, memory, operations, shape
from course_lib.training import GPT

SHAPES = [{"depth": 2, "width": 64, "heads": 2}, {"depth": 5, "width": 96, "heads": 3}]


def gpt(depth, width, heads, context=32, recompute=False):
    model = GPT(256, context, width, depth, heads)
    for block in model.blocks if recompute else []:
        block.forward = lambda x, forward=block.forward: checkpoint(forward, x, use_reentrant=False)
    return model


def n_parameters(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("precision", ["fp32", "all bf16"])
@pytest.mark.parametrize("name", STATES)
def test_bytes_of_weights_gradients_and_optimizer_are_those_of_the_tensors(name, precision):
    model = gpt(**SHAPES[0]).to(torch.bfloat16 if precision == "all bf16" else torch.float32)
    optimizer = {"SGD": lambda p: torch.optim.SGD(p, 0.1), "SGD with momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
                 "AdamW": torch.optim.AdamW}[name](model.parameters())  # fmt: skip
    model(torch.zeros(1, 8, dtype=torch.long)).sum().backward()
    optimizer.step()
    state = [value for state in optimizer.state.values() for value in state.values() if value is not None and value.dim() > 0]
    held = [list(model.parameters()), [p.grad for p in model.parameters()], state]
    said = memory(n_parameters(model), 2, 64, 8, precision, name)
    assert [said[part] for part in lab.PARTS[:3]] == [sum(tensor.nbytes for tensor in tensors) for tensors in held]


def kept_bytes(model, rows, context, autocast):
    """Bytes that autograd keeps at the end of a forward pass: (copies of weights, everything else but the model and data)."""
    X = torch.randint(256, (rows, context), generator=torch.Generator().manual_seed(0))
    matrices = {tuple(p.shape) for p in model.parameters() if p.dim() == 2} | {tuple(p.T.shape) for p in model.parameters() if p.dim() == 2}
    seen = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), X)}
    copies, others, alive = 0, 0, []

    def pack(tensor):
        nonlocal copies, others
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            alive.append(tensor)  # or its place in memory would be taken by the next one
            if autocast and tensor.dtype == torch.bfloat16 and tuple(tensor.shape) in matrices:
                copies += storage.nbytes()
            else:
                others += storage.nbytes()
        return tensor

    numbers = torch.autocast("cpu", torch.bfloat16) if autocast else contextlib.nullcontext()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), numbers:
        nn.functional.cross_entropy(model(X).flatten(0, 1), X.flatten())
    return copies, others


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("sizes", SHAPES)
@pytest.mark.parametrize(("rows", "context"), [(3, 30), (5, 16)])
def test_activations_are_what_autograd_keeps(sizes, precision, rows, context):
    model = gpt(**sizes).to(torch.bfloat16 if precision == "all bf16" else torch.float32)
    copies, kept = kept_bytes(model, rows, context, precision.startswith("mixed"))
    said = memory(n_parameters(model), sizes["depth"], sizes["width"], rows * context, precision, heads=sizes["heads"])
    assert said["activations"] == pytest.approx(kept, rel=0.01)
    assert said["weights"] == pytest.approx(copies + sum(p.nbytes for p in model.parameters()), rel=0.03)  # no copies of tables and biases


@pytest.mark.parametrize("sizes", SHAPES)
def test_checkpointing_keeps_the_inputs_of_blocks_and_one_block(sizes):
    depth, width, heads = sizes["depth"], sizes["width"], sizes["heads"]
    _, kept = kept_bytes(gpt(**sizes, recompute=True), 3, 32, autocast=False)
    said = lambda depth, recompute: memory(0, depth, width, 96, recompute=recompute, heads=heads)["activations"]
    one_block = said(depth, False) - said(depth - 1, False)  # while the backward pass is at it
    assert said(depth, True) - one_block == pytest.approx(kept, rel=0.01)


@pytest.mark.parametrize("recompute", [False, True])
def test_all_together_is_the_peak_of_a_training_step(recompute):
    from course_lib.evidence.experiments.compute_limits import peak_bytes

    model = gpt(depth=6, width=64, heads=2, context=64, recompute=recompute)
    said = memory(n_parameters(model), 6, 64, 8 * 64, recompute=recompute, heads=2)
    assert sum(said.values()) == pytest.approx(peak_bytes(model, rows=8, tokens=64, pieces=1), rel=0.06)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("sizes", SHAPES)
def test_operations_are_those_that_pytorch_counts(sizes, recompute):
    model = gpt(**sizes, context=48, recompute=recompute)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(torch.zeros(3, 48, dtype=torch.long)).sum().backward()
    multiplying = sum(layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear))
    assert operations(multiplying, sizes["depth"], sizes["width"], 3 * 48, 48, recompute) == counter.get_total_flops()


def test_shape_is_that_of_gpt2():
    assert shape(12 * 12 * 768**2) == pytest.approx((12, 768))


def test_fully_sharded_devices_hold_a_share_and_two_blocks():
    n, depth, width = 12 * 24 * 512**2, 24, 512
    alone, ddp, fsdp = (memory(n, depth, width, 1024, devices=k, split=split) for k, split in ((1, "FSDP"), (8, "DDP"), (8, "FSDP")))
    assert alone == ddp  # each of DDP's devices holds everything
    assert fsdp["optimizer"] == alone["optimizer"] / 8 and fsdp["activations"] == alone["activations"]
    assert fsdp["weights"] == pytest.approx(alone["weights"] * (1 / 8 + 2 / 24))
    assert fsdp["gradients"] == pytest.approx(alone["gradients"] * (1 / 8 + 1 / 24))


controls = st.fixed_dictionaries({
    "parameters": st.floats(1e6, 1e11), "tokens": st.floats(1e6, 1e13), "precision": st.sampled_from(list(PRECISIONS)),
    "optimizer": st.sampled_from(list(STATES)), "rows": st.integers(1, 256), "context": st.integers(64, 2**17),
    "recompute": st.just(False), "device": st.sampled_from(list(DEVICES)), "devices": st.integers(1, 4096),
    "split": st.sampled_from(["DDP", "FSDP"]), "utilisation": st.integers(5, 80),
})  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(controls)
def test_laws(values):
    found = budget(**values)
    assert found["seconds"][0] == pytest.approx(values["devices"] * found["seconds"][1])
    alone = budget(**values | {"devices": 1})
    assert found["operations"] == alone["operations"] and found["kilowatt_hours"] == alone["kilowatt_hours"]  # splitting saves none
    again = budget(**values | {"recompute": True})
    assert again["parts"][3] < found["parts"][3] and found["operations"] < again["operations"] < 4 / 3 * found["operations"]
    assert again["largest"] >= found["largest"]
    assert (np.diff(found["states"] + found["activations"]) > 0).all()
    if 0 < found["largest"] < SIZES[-1] and abs(np.log(values["parameters"] / found["largest"])) > 0.02:
        assert (found["parts"].sum() < found["capacity"]) == (values["parameters"] < found["largest"])


def test_devices_say_where_their_numbers_come_from():
    for device in DEVICES.values():
        assert device.source and device.peak["bf16"] >= device.peak["fp32"] and device.memory % lab.GIB == 0


def test_words_follow_the_sliders():
    live = BudgetLab()
    assert "38 GiB, 1.6 times what there is: it does not fit" in live.alt and "would take 1.5 months" in live.alt
    live.controls["precision"].value = "mixed (bf16 and fp32)"
    assert "does not fit" in live.alt
    live.controls["recompute"].value = True
    assert "19 GiB of 24 GiB: it fits" in live.alt
    energy = live.arrays["kilowatt_hours"]
    live.controls["devices"].value = 8
    assert "on 8 devices instead of 28 days on one" in live.alt and f"{energy:.0f} kWh either way" in live.alt
    assert live.arrays["kilowatt_hours"] == energy
    live.controls["parameters"].value = 1e11
    assert "does not fit" in live.alt
    live.controls["split"].value = "FSDP"
    assert live.arrays["parts"][2] == pytest.approx(8e11 / 8)
    np.testing.assert_array_equal(live.need.get_ydata(), np.log10(live.arrays["states"] + live.arrays["activations"]))
    widths = np.array([bar.get_width() for bar in live.bars])
    np.testing.assert_allclose(widths[:4] / widths[4], live.arrays["parts"] / live.arrays["capacity"])


@pytest.mark.parametrize(("value", "function", "words"), [
    (124e6, lab.count, "124 million"), (1e9, lab.count, "1 billion"), (1.6e12, lab.count, "1.6 trillion"),
    (0, lab.size, "0 bytes"), (1.5 * 2**30, lab.size, "1.5 GiB"), (60, lab.duration, "1 minute"), (2.5 * 86400, lab.duration, "2.5 days"),
    (4e9 * lab.YEAR, lab.duration, "4,000,000,000 years"), (1234, lab.energy, "1.2 MWh"), (0.002, lab.energy, "2 Wh"),
])  # fmt: skip
def test_units(value, function, words):
    assert function(value) == words
