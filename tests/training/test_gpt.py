"""The GPT: what it may look at, its size, its start, and that it learns; and the text it learns from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from course_lib.datasets import load_text
from course_lib.training.gpt import GPT


def tokens(model, batch, length, seed=0):
    vocabulary = model.tokens.num_embeddings
    return torch.randint(vocabulary, (batch, length), generator=torch.Generator().manual_seed(seed))


def parameters(model):
    return sum(p.numel() for p in model.parameters())


@settings(max_examples=20, deadline=None)
@given(changed=st.integers(0, 11), seed=st.integers(0, 5))
def test_a_later_token_changes_no_earlier_logit(changed, seed):
    torch.manual_seed(seed)
    model = GPT(vocabulary=11, context=12, width=16, depth=2, heads=4)
    before = tokens(model, 3, 12, seed)
    after = before.clone()
    after[:, changed] = (after[:, changed] + 1) % 11
    there, here = model(before), model(after)
    torch.testing.assert_close(there[:, :changed], here[:, :changed], atol=1e-6, rtol=0)
    assert (there[:, changed:] != here[:, changed:]).any()


@pytest.mark.parametrize("vocabulary, context, width, depth, heads", [(256, 64, 64, 2, 2), (11, 7, 12, 1, 3), (30, 20, 32, 5, 4)])
def test_number_of_parameters(vocabulary, context, width, depth, heads):
    formula = vocabulary * width + context * width + depth * (12 * width**2 + 13 * width) + 2 * width
    assert parameters(GPT(vocabulary, context, width, depth, heads)) == formula


def test_named_sizes():
    with torch.device("meta"):  # no memory, no numbers: only sizes
        sizes = [parameters(model()) for model in (GPT.tiny, GPT.small, GPT.gpt2)]
    assert [round(size / 1e6, 2) for size in sizes] == [0.12, 10.84, 124.44]
    assert GPT.tiny(depth=1, dropout=0.1).context == 64


def test_the_loss_starts_at_that_of_guessing():
    torch.manual_seed(0)
    model = GPT(context=32)
    x = tokens(model, 16, 33)
    loss = F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
    assert loss.item() == pytest.approx(np.log(256), rel=0.01)


def test_weights_that_write_into_the_sum_start_smaller():
    torch.manual_seed(0)
    model = GPT(width=128, depth=8)
    for block in model.blocks:
        for layer, std in [(block.grow, 0.02), (block.shrink, 0.005), (block.attention.out, 0.005)]:  # 0.02 / sqrt(2 * 8)
            assert layer.weight.std().item() == pytest.approx(std, rel=0.05) and not layer.bias.any()


def test_it_learns_a_short_text_by_heart():
    torch.manual_seed(0)
    text = b"Sliders, not animations: the reader holds the time. "
    x = torch.tensor(list(text))[None]
    model = GPT(context=64, width=32, depth=2, heads=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(120):
        loss = F.cross_entropy(model(x[:, :-1])[0], x[0, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02
    told = model.generate(x[:, :5], len(text) - 5, temperature=0)
    assert bytes(told[0].tolist()) == text


def test_generate_continues_repeats_and_leaves_the_mode():
    torch.manual_seed(0)
    model = GPT(vocabulary=20, context=8, width=16, depth=1, dropout=0.5)
    start = tokens(model, 2, 3)
    draws = [model.generate(start, 12, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert draws[0].shape == (2, 15) and torch.equal(draws[0][:, :3], start) and model.training
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert torch.equal(model.generate(start, 5, temperature=1e-4), model.generate(start, 5, temperature=0))
    assert torch.equal(model.generate(start, 0), start)


def test_generate_draws_as_often_as_the_softmax_says():
    torch.manual_seed(0)
    model = GPT(vocabulary=5, context=4, width=8, depth=1).eval()
    start = torch.zeros(20000, 1, dtype=torch.long)
    drawn = model.generate(start, 1, temperature=0.5, generator=torch.Generator().manual_seed(0))[:, -1]
    wanted = (model(start[:1])[0, -1] / 0.5).softmax(-1).detach()
    torch.testing.assert_close(drawn.bincount(minlength=5) / 20000, wanted, atol=0.015, rtol=0)


def test_operations_are_what_pytorch_counts():
    model = GPT(context=32, width=48, depth=3, heads=4)
    x = tokens(model, 2, 32)
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        model(x).sum().backward()
    assert model.flops_per_token * x.numel() == counter.get_total_flops()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: GPT(width=10, heads=4), "width must be divisible by heads; got 10 and 4. Try width=8"),
        (lambda: GPT(depth=0), "depth must be at least 1"),
        (lambda: GPT(dropout=1), "dropout must be in"),
        (lambda: GPT(context=4)(torch.zeros(1, 5, dtype=torch.long)), "length 5, above the context of 4"),
        (lambda: GPT().generate(torch.zeros(1, 0, dtype=torch.long), 3), "tokens must have shape"),
        (lambda: GPT().generate(torch.zeros(1, 1, dtype=torch.long), 3, temperature=-1), "temperature must be 0 or above"),
        (lambda: load_text().windows(0, 10), "n_windows must be at least 1"),
        (lambda: load_text().windows(1, 10**6), "length must be below the 378,"),
        (lambda: load_text().windows(1, 10, part="test"), "part must be one of"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_text_is_english_in_two_parts():
    text = load_text()
    whole = text.decode(np.concatenate([text.train, text.validation]))
    assert 400_000 < len(whole) and whole.count(" the ") > 2500 and "�" not in whole
    assert np.array_equal(text.encode("Fuß"), [70, 117, 195, 159]) and text.decode(text.encode("Fuß…")) == "Fuß…"
    assert len(text.validation) / len(whole.encode()) == pytest.approx(0.1, abs=1e-4)
    assert "PSF" in text.licence and "Python 3.13" in repr(text)
    paragraphs = [p for p in whole.split("\n\n") if len(p) >= 60]
    assert len(paragraphs) == len(set(paragraphs))


def test_windows_are_random_places_of_their_part():
    text = load_text()
    X, y = text.windows(200, 40, random_state=0)
    assert X.dtype == y.dtype == np.int64 and np.array_equal(X[:, 1:], y[:, :-1])
    train, validation = text.train.tobytes(), text.validation.tobytes()
    assert all(bytes(row.tolist()) in train for row in X)
    assert all(bytes(row.tolist()) in validation for row in text.windows(50, 40, 0, part="validation")[1])
    assert np.array_equal(X, text.windows(200, 40, random_state=0)[0])
    rng = np.random.default_rng(0)
    assert not np.array_equal(text.windows(5, 40, rng)[0], text.windows(5, 40, rng)[0])
    places = np.array([train.index(bytes(row.tolist())) for row in X]) / len(train)
    assert abs(places.mean() - 0.5) < 0.08


def test_it_learns_the_text_better_than_the_frequency_of_bytes():
    torch.manual_seed(0)
    text, rng = load_text(), np.random.default_rng(0)
    model = GPT.tiny()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(160):
        X, y = map(torch.from_numpy, text.windows(16, 64, rng))
        optimizer.zero_grad()
        F.cross_entropy(model(X).flatten(0, 1), y.flatten()).backward()
        optimizer.step()
    X, y = map(torch.from_numpy, text.windows(64, 64, 1, part="validation"))
    with torch.no_grad():
        loss = F.cross_entropy(model(X).flatten(0, 1), y.flatten()).item()
    counts = np.bincount(text.train, minlength=256) + 1
    assert loss < -np.log(counts / counts.sum())[text.validation].mean() - 0.1
