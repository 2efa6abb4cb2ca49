"""fit against bare PyTorch loops written here: the same batches, the same weights."""

import copy
import signal
import threading
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from course_lib.descent import DivergenceError
from course_lib.schedules import cosine, warm_up
from course_lib.training import fit
from course_lib.training.augment import mixup
from course_lib.training.batches import groups, share

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here"))]


def blobs(m=70, n=5, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=m)
    return rng.normal(size=(m, n)) + np.eye(classes, n)[y] * 2, y


def network(n=5, classes=3, dropout=0.0, dtype=torch.float32):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(n, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, classes)).to(dtype)


def weights(model):
    return torch.cat([p.detach().cpu().flatten() for p in model.parameters()])


def sgd(model, rate=0.1, **more):
    return torch.optim.SGD(model.parameters(), lr=rate, **more)


def bare(model, X, y, optimizer, num_epochs, batch_size, *, seed=0, clip=None, schedule=None, loss=F.cross_entropy, after=None):
    """The loop that everybody writes; shuffled as fit says it does."""
    X, y = torch.tensor(X, dtype=next(model.parameters()).dtype), torch.as_tensor(y)
    generator = torch.Generator().manual_seed(seed)
    model.train()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for _ in range(num_epochs):
            for rows in torch.randperm(len(X), generator=generator).split(batch_size):
                optimizer.zero_grad()
                loss(model(X[rows]), y[rows]).backward()
                if clip is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
                if schedule is not None:
                    schedule.step()
                if after is not None:
                    after(model)
    return weights(model)


# ---------------------------------------------------------------- the same weights as a bare loop


@pytest.mark.parametrize("make", [lambda m: torch.optim.AdamW(m.parameters(), lr=0.01), lambda m: sgd(m, momentum=0.9, nesterov=True)])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_bare_loop_gives_the_same_weights(make, dropout):
    (X, y), ours, theirs = blobs(), network(dropout=dropout), network(dropout=dropout)
    fit(ours, (X, y), optimizer=make(ours), num_epochs=3, batch_size=16, device="cpu")
    expected = bare(theirs, X, y, make(theirs), 3, 16)
    torch.testing.assert_close(weights(ours), expected, rtol=0, atol=1e-7)


def test_the_default_optimizer_is_AdamW():
    (X, y), ours, theirs = blobs(), network(), network()
    fit(ours, (X, y), learning_rate=0.01, num_epochs=2, batch_size=16, device="cpu")
    torch.testing.assert_close(weights(ours), bare(theirs, X, y, torch.optim.AdamW(theirs.parameters(), lr=0.01), 2, 16), rtol=0, atol=1e-6)


def test_real_targets_are_fitted_by_squared_error_whatever_their_shape():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5)), rng.normal(size=40)
    flat, column, theirs = (network(classes=1) for _ in range(3))
    fit(flat, (X, y), optimizer=sgd(flat), num_epochs=2, device="cpu")
    fit(column, (X, y[:, None]), optimizer=sgd(column), num_epochs=2, device="cpu")
    expected = bare(theirs, X, torch.tensor(y[:, None], dtype=torch.float32), sgd(theirs), 2, 64, loss=F.mse_loss)
    torch.testing.assert_close(weights(flat), expected, rtol=0, atol=1e-7)
    torch.testing.assert_close(weights(column), expected, rtol=0, atol=1e-7)


def test_one_step_on_all_rows_is_gradient_descent_in_closed_form():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    model = nn.Linear(3, 1, bias=False).double()
    theta = model.weight.detach().numpy().T.copy()
    fit(model, (X, y), optimizer=sgd(model, 0.05), num_epochs=1, batch_size=20, device="cpu")
    np.testing.assert_allclose(model.weight.detach().numpy().T, theta - 0.05 * 2 / 20 * X.T @ (X @ theta - y), rtol=1e-12)


def test_a_DataLoader_gives_the_batches_that_it_gives_a_bare_loop():
    X, y = (torch.as_tensor(a) for a in blobs())
    rows = torch.utils.data.TensorDataset(X.float(), y)

    def loader():
        return torch.utils.data.DataLoader(rows, batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(3))

    ours, theirs = network(), network()
    fit(ours, loader(), optimizer=sgd(ours), num_epochs=3, device="cpu")
    batches, optimizer = loader(), sgd(theirs)
    for _ in range(3):
        for some, labels in batches:
            optimizer.zero_grad()
            F.cross_entropy(theirs(some), labels).backward()
            optimizer.step()
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=0, atol=1e-7)


def test_clipping_is_that_of_torch_and_the_norm_before_it_is_recorded():
    (X, y), ours, theirs = blobs(), network(), network()
    history = fit(ours, (X, y), optimizer=sgd(ours), clip_norm=0.05, num_epochs=2, batch_size=16, device="cpu")
    torch.testing.assert_close(weights(ours), bare(theirs, X, y, sgd(theirs), 2, 16, clip=0.05), rtol=0, atol=1e-7)
    assert history.steps["gradient_norm"].max() > 0.05


def test_the_recorded_norm_is_that_of_autograd():
    X, y = blobs(m=16)
    model = network()
    F.cross_entropy(model(torch.tensor(X, dtype=torch.float32)), torch.tensor(y)).backward()
    expected = torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item()
    plain = fit(model, (X, y), num_epochs=1, device="cpu").steps["gradient_norm"][0]
    clipped = fit(network(), (X, y), num_epochs=1, clip_norm=1e-3, device="cpu").steps["gradient_norm"][0]
    assert plain == pytest.approx(expected, rel=1e-5) and clipped == pytest.approx(expected, rel=1e-5)


# ---------------------------------------------------------------- schedules


@pytest.mark.parametrize("make", [
    lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.2, total_steps=15),
    lambda o: torch.optim.lr_scheduler.StepLR(o, 4, 0.5),
    lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 15),
])  # fmt: skip
def test_a_schedule_moves_once_a_step_as_torch_moves_it(make):
    (X, y), ours, theirs = blobs(), network(), network()
    optimizer, other = sgd(ours), sgd(theirs)
    rates, schedule = [], make(other)
    expected = bare(theirs, X, y, other, 3, 16, schedule=schedule, after=lambda _: rates.append(schedule.get_last_lr()[0]))
    history = fit(ours, (X, y), optimizer=optimizer, schedule=make(optimizer), num_epochs=3, batch_size=16, device="cpu")
    torch.testing.assert_close(weights(ours), expected, rtol=0, atol=1e-7)
    np.testing.assert_allclose(history.steps["learning_rate"][1:], rates[:-1])


def test_a_function_of_the_step_multiplies_the_rate():
    factor = warm_up(cosine(1.0, 12), 3)
    history = fit(network(), blobs(), learning_rate=0.2, schedule=factor, num_epochs=3, batch_size=16, device="cpu")
    np.testing.assert_allclose(history.steps["learning_rate"], 0.2 * factor(np.arange(15)), rtol=1e-12)


def test_a_plateau_schedule_looks_at_the_validation_loss_once_an_epoch():
    model = network()
    optimizer = sgd(model, 1e-6)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=1)
    history = fit(model, blobs(), validation=blobs(seed=1), optimizer=optimizer, schedule=schedule, num_epochs=4, device="cpu")
    np.testing.assert_allclose(history.frame["learning_rate"], [1e-6, 1e-6, 1e-6, 1e-7])


# ---------------------------------------------------------------- accumulation


@pytest.mark.parametrize("m", [64, 70, 61])
@pytest.mark.parametrize("accumulate", [2, 3])
def test_accumulated_batches_are_one_large_batch_also_where_they_are_uneven(m, accumulate):
    X, y = blobs(m=m)
    parts, whole = network(dtype=torch.float64), network(dtype=torch.float64)
    small = fit(parts, (X, y), optimizer=sgd(parts), accumulate=accumulate, batch_size=8, num_epochs=3, device="cpu")
    large = fit(whole, (X, y), optimizer=sgd(whole), batch_size=8 * accumulate, num_epochs=3, device="cpu")
    torch.testing.assert_close(weights(parts), weights(whole), rtol=0, atol=1e-12)
    for name in small.steps:
        np.testing.assert_allclose(small.steps[name], large.steps[name], rtol=1e-9)
    np.testing.assert_allclose(small.frame["accuracy"], large.frame["accuracy"], rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 4), st.integers(1, 5))
def test_weights_of_all_parts_of_a_step_make_the_mean_over_its_rows(sizes, accumulate, world):
    """For any sizes of batches, any number of them in a step, any number of processes."""
    values = [torch.arange(n, dtype=torch.float64) ** 2 for n in sizes]
    for first in range(0, len(sizes), accumulate):
        some = values[first : first + accumulate]
        total = 0.0
        for rank in range(world):
            from course_lib.training.batches import Batch

            parts = [share(len(v), rank, world) for v in some]
            batches = [Batch(v[part], v[part], len(v), own) for v, (part, own) in zip(some, parts)]
            (group, rows), = groups(batches, accumulate, world)
            assert rows == sum(map(len, some))
            total += sum(weight * X.mean() for X, _, weight in group) / world
        torch.testing.assert_close(total, torch.cat(some).mean())


# ---------------------------------------------------------------- averaged weights, early stopping


def test_the_average_is_the_closed_formula():
    (X, y), ours, theirs, seen = blobs(), network(), network(), []
    bare(theirs, X, y, sgd(theirs), 2, 16, after=lambda model: seen.append(weights(model).double()))
    history = fit(ours, (X, y), validation=(X, y), optimizer=sgd(ours), ema=0.8, num_epochs=2, batch_size=16, device="cpu")
    shares = 0.8 ** torch.arange(len(seen) - 1, -1, -1, dtype=torch.float64)
    expected = (shares[:, None] * torch.stack(seen)).sum(0) / shares.sum()
    torch.testing.assert_close(weights(ours).double(), expected, rtol=0, atol=1e-6)
    loss = F.cross_entropy(ours(torch.tensor(X, dtype=torch.float32)), torch.tensor(y)).item()
    assert history.frame["validation_loss"].iloc[-1] == pytest.approx(loss, rel=1e-5)  # the average is what was validated


def test_early_stopping_waits_for_its_patience_and_puts_the_best_weights_back():
    X, y = blobs(m=30)
    held_out = blobs(m=200, seed=5)
    labels = np.random.default_rng(0).permutation(y)  # noise: the validation loss must turn
    model = network()
    history = fit(model, (X, labels), validation=held_out, optimizer=sgd(model, 0.5), num_epochs=200, patience=4, batch_size=8, device="cpu")
    losses = history.frame["validation_loss"].to_numpy()
    assert history.stopped == "patience" and len(losses) - 1 - losses.argmin() == 4
    assert f"epoch {losses.argmin() + 1}" in history.why
    loss = F.cross_entropy(model(torch.tensor(held_out[0], dtype=torch.float32)), torch.tensor(held_out[1])).item()
    assert loss == pytest.approx(losses.min(), rel=1e-5)


def test_validation_is_without_dropout_and_weighted_by_rows():
    X, y = blobs()
    held_out = blobs(m=45, seed=2)
    model = network(dropout=0.5)
    history = fit(model, (X, y), validation=held_out, num_epochs=1, batch_size=4, device="cpu")  # 16 + 16 + 13 rows
    output = model(torch.tensor(held_out[0], dtype=torch.float32))
    assert not model.training
    row = history.frame.iloc[-1]
    assert row["validation_loss"] == pytest.approx(F.cross_entropy(output, torch.tensor(held_out[1])).item(), rel=1e-5)
    assert row["validation_accuracy"] == pytest.approx((output.argmax(1).numpy() == held_out[1]).mean(), rel=1e-6)


# ---------------------------------------------------------------- randomness


def test_the_seed_decides_and_the_global_state_is_left_alone():
    X, y = blobs()
    before = torch.get_rng_state()
    runs = []
    for seed in (0, 0, 1):
        model = network(dropout=0.2)
        fit(model, (X, y), num_epochs=2, random_state=seed, device="cpu")
        runs.append(weights(model))
        torch.testing.assert_close(torch.get_rng_state(), before)
        torch.rand(7)  # whatever was drawn before must not matter
        before = torch.get_rng_state()
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_augment_draws_from_its_own_generator_so_that_the_batches_stay_the_same():
    X, y = blobs()
    seen = {"plain": [], "drawn": []}

    def watch(name, draws):
        def augment(X, y, generator):
            seen[name].append(X.clone())
            torch.rand(draws, generator=generator)
            return X, y

        return augment

    fit(network(), (X, y), num_epochs=2, augment=watch("plain", 0), device="cpu")
    fit(network(), (X, y), num_epochs=2, augment=watch("drawn", 11), device="cpu")
    assert all(map(torch.equal, seen["plain"], seen["drawn"]))


def test_mixup_trains_on_mixed_rows_with_mixed_labels():
    X, y = blobs()
    model = network()
    history = fit(model, (X, y), validation=(X, y), augment=mixup(3, alpha=1.0), learning_rate=0.05, num_epochs=20, device="cpu")
    assert history.frame["validation_accuracy"].iloc[-1] > 0.8
    mixed, labels = mixup(3, alpha=1.0)(torch.tensor(X), torch.tensor(y), torch.Generator().manual_seed(1))
    share = np.unique(labels.numpy().max(1).round(6))
    assert len(share) <= 2 and not torch.equal(mixed, torch.tensor(X))
    torch.testing.assert_close(labels.sum(1), torch.ones(70, dtype=torch.float64))


# ---------------------------------------------------------------- numbers, compilers, memory


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_precision_learns_on_every_device(device, precision):
    X, y = blobs()
    model = network()
    history = fit(model, (X, y), learning_rate=0.05, num_epochs=15, precision=precision, device=device)
    assert history.frame["accuracy"].iloc[-1] > 0.85
    assert all(p.dtype == torch.float32 and p.device.type == device for p in model.parameters())
    assert ("loss_scale" in history.frame) == (precision == "fp16")


@pytest.mark.parametrize("device", DEVICES[1:])
def test_gpu_and_cpu_agree(device):
    """Sums in another order: 1e-4 of the weights after 15 steps."""
    X, y = blobs()
    here, there = network(), network()
    fit(here, (X, y), optimizer=sgd(here), num_epochs=3, batch_size=16, device="cpu")
    fit(there, (X, y), optimizer=sgd(there), num_epochs=3, batch_size=16, device=device)
    torch.testing.assert_close(weights(there), weights(here), rtol=1e-4, atol=1e-5)


def test_loss_scaling_leaves_out_a_step_that_overflows_and_the_schedule_waits():
    X, y = blobs()
    model = network()
    optimizer = sgd(model)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = fit(model, (X, y), loss=lambda o, t: 40 * F.cross_entropy(o.half(), t), optimizer=optimizer, schedule=schedule,
                      precision="fp16", num_epochs=2, batch_size=35, device="cpu")  # fmt: skip
    skipped = ~np.isfinite(history.steps["gradient_norm"])
    assert skipped.any() and history.frame["loss_scale"].iloc[-1] < 2**16
    np.testing.assert_allclose(history.steps["learning_rate"], 0.1 * 0.5 ** np.r_[0, np.cumsum(~skipped)[:-1]])


def test_recomputed_activations_give_the_same_weights_with_dropout():
    (X, y), plain, thrifty = blobs(), network(dropout=0.3), network(dropout=0.3)
    fit(plain, (X, y), num_epochs=2, device="cpu")
    fit(thrifty, (X, y), num_epochs=2, recompute=[thrifty], device="cpu")
    assert torch.equal(weights(plain), weights(thrifty))
    assert "forward" not in vars(thrifty)


def test_recomputed_batch_normalization_counts_each_batch_once():
    (X, y), plain = blobs(), nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    thrifty = copy.deepcopy(plain)
    fit(plain, (X, y), num_epochs=2, device="cpu")
    fit(thrifty, (X, y), num_epochs=2, recompute=thrifty, device="cpu")
    for name, values in plain.state_dict().items():
        assert torch.equal(values, thrifty.state_dict()[name]), name
    assert thrifty[1].momentum == 0.1


def test_an_optimizer_of_some_parameters_leaves_the_others_out_of_norm_and_clipping():
    (X, y), whole = blobs(), network()
    frozen = copy.deepcopy(whole)
    last = list(frozen.children())[-1]
    for p in frozen.parameters():
        p.requires_grad_(False)
    last.requires_grad_(True)
    results = [fit(model, (X, y), optimizer=torch.optim.SGD(list(model.children())[-1].parameters(), lr=0.1), clip_norm=0.1,
                   num_epochs=3, device="cpu") for model in (whole, frozen)]  # fmt: skip
    np.testing.assert_array_equal(*(history.steps["gradient_norm"] for history in results))
    assert torch.equal(weights(whole), weights(frozen))
    norms = results[0].layers.groupby("layer", sort=False)["gradient_norm"].first()  # of one step each, not summed up over steps
    assert (results[0].layers.groupby("layer", sort=False)["gradient_norm"].max() < 3 * norms).all()


def test_a_model_of_several_outputs_with_a_loss_and_metrics_of_its_own():
    class Twins(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = network()

        def forward(self, X):
            logits = self.one(X)
            return logits, -logits

    (X, y), model, plain = blobs(), Twins(), network()
    metrics = {"right": lambda output, target: (output[0].argmax(1) == target).float().mean()}
    history = fit(model, (X, y), loss=lambda output, target: F.cross_entropy(output[0], target), metrics=metrics, num_epochs=2, device="cpu")
    expected = fit(plain, (X, y), num_epochs=2, device="cpu")
    assert torch.equal(weights(model), weights(plain))
    np.testing.assert_allclose(history.frame["right"], expected.frame["accuracy"])


def test_fit_trains_inside_no_grad():
    (X, y), model = blobs(), network()
    before = weights(model)
    with torch.no_grad():
        fit(model, (X, y), num_epochs=1, device="cpu")
        assert not torch.is_grad_enabled()
    assert not torch.equal(weights(model), before)


def test_compile_passes_model_and_loss_through_torch_compile(monkeypatch):
    (X, y), plain, compiled, calls = blobs(), network(), network(), []
    monkeypatch.setattr(torch, "compile", lambda function: calls.append(function) or function)
    fit(plain, (X, y), num_epochs=1, device="cpu")
    fit(compiled, (X, y), num_epochs=1, device="cpu", compile=True)
    assert len(calls) == 1 and torch.equal(weights(plain), weights(compiled))


def test_tokens_with_classes_in_the_last_axis_as_a_language_model_gives_them():
    tokens = torch.randint(7, (12, 6), generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Embedding(7, 8), nn.Linear(8, 7))
    history = fit(model, (tokens[:, :-1], tokens[:, 1:]), num_epochs=2, device="cpu")
    with torch.no_grad():
        loss = F.cross_entropy(model(tokens[:, :-1]).transpose(1, 2), tokens[:, 1:])
    again = fit(model, (tokens[:, :-1], tokens[:, 1:]), num_epochs=1, device="cpu")
    assert again.steps["loss"][0] == pytest.approx(loss.item(), rel=1e-5)
    assert 0 <= history.frame["accuracy"].iloc[-1] <= 1


# ---------------------------------------------------------------- ends


def exploding(model, X, y, **more):
    return fit(model, (X, y), optimizer=sgd(model, 1e6), loss=lambda o, t: (o**2).mean(), num_epochs=50, device="cpu", **more)


def test_a_bad_loss_says_what_happened_where_and_what_to_try():
    model = network()
    model[1] = nn.Identity()
    with pytest.raises(DivergenceError, match=r"loss became (nan|inf) at step \d+ \(epoch \d+\).*gradient norms.*Try.*smaller.*clip_norm") as error:
        exploding(model, *blobs())
    history = error.value.history
    assert history.stopped == "diverged" and history.why == str(error.value)
    assert error.value.step == history.n_steps - 1 and not np.isfinite(history.steps["loss"][-1])
    assert np.isfinite(history.steps["loss"][:-1]).all()
    assert torch.isfinite(weights(model)).all()  # found before it reached the weights


def test_on_divergence_stop_returns_the_history():
    model = network()
    model[1] = nn.Identity()
    history = exploding(model, *blobs(), on_divergence="stop")
    assert history.stopped == "diverged" and "Try" in history.why


def test_a_bad_gradient_of_a_good_loss_does_not_reach_the_weights():
    model = network()
    start = weights(model)
    with pytest.raises(DivergenceError, match=r"norm of the gradient became (nan|inf) at step 0.*first step"):
        fit(model, blobs(), loss=lambda o, t: (o * 0).sum().sqrt(), device="cpu")
    assert torch.equal(weights(model), start)


def test_ctrl_c_ends_after_the_step_under_way_and_returns_what_there_is():
    calls = []

    def augment(X, y, generator):
        calls.append(1)
        if len(calls) == 7:
            signal.raise_signal(signal.SIGINT)
        return X, y

    before = signal.getsignal(signal.SIGINT)
    history = fit(network(), blobs(), augment=augment, batch_size=16, num_epochs=50, device="cpu")
    assert history.stopped == "interrupted" and history.n_steps == 7 and "step 7 (epoch 2)" in history.why
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_twice_ends_within_the_step():
    def augment(X, y, generator):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not reached")

    history = fit(network(), blobs(), augment=augment, device="cpu")
    assert history.stopped == "interrupted" and history.n_steps == 0


def test_fit_works_in_another_thread_where_python_gives_no_signals():
    found = []
    thread = threading.Thread(target=lambda: found.append(fit(network(), blobs(), num_epochs=1, device="cpu")))
    thread.start()
    thread.join()
    assert found[0].stopped == "num_epochs"


def test_a_long_run_shows_a_bar_and_a_short_one_none(monkeypatch, capsys):
    from course_lib.training import progress

    monkeypatch.setattr(progress, "SECONDS_BEFORE", 1e6)  # however slow the machine is, this run is short
    fit(network(), blobs(), num_epochs=1, device="cpu")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "SECONDS_BEFORE", 0.0)
    fit(network(), blobs(), num_epochs=2, device="cpu")
    shown = capsys.readouterr().err
    assert "loss" in shown and "of 2" in shown
    fit(network(), blobs(), num_epochs=2, progress=False, device="cpu")
    assert capsys.readouterr().err == ""
