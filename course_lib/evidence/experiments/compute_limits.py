"""Chapter 07: what a training costs, and what splitting it or shorter numbers change (B 8.3.2.3, B Q&A).

Nothing here looks at a clock: operations and bytes are counted, gradients, weights and losses compared. Devices are parts of
one process, which do what several would do; that PyTorch's own do the same is shown by `tests/training/test_distributed.py`.
"""

from course_lib.evidence.registry import Result, claim

# --- How much a model costs: 6 operations for each weight and token --------------------------------------------------


@claim("B-8.3.2.3-1", metric="operations of a training step: 6 × weights × tokens, and as counted", expects="same", scale="ratio",
       margin=0.1, seeds=6, when="a GPT looks back on at most a quarter as many tokens as it is wide")  # fmt: skip
def short_context(seed):
    return formula_and_count(*gpt(seed, context_to_width=0.25))


@short_context.counter("it looks back on 16 times as many tokens as it is wide")
def long_context(seed):
    return formula_and_count(*gpt(seed, context_to_width=16))


@short_context.counter("each token passes one of 8 experts")
def one_of_eight_experts(seed):
    import torch
    from torch import nn

    class Experts(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.experts = nn.ModuleList(nn.Linear(width, width) for _ in range(8))

        def forward(self, x):  # as if the router had sent an eighth of the rows to each
            return torch.cat([expert(part) for expert, part in zip(self.experts, x.chunk(8))])

    rows, width = drawn(seed, rows=(8, 65), width=(64, 257))
    with torch.device("meta"):
        return formula_and_count(nn.Sequential(Experts(width), nn.ReLU(), Experts(width)), torch.empty(8 * rows, width))


@short_context.counter("most weights stand in a table that is only looked up")
def looked_up(seed):
    import torch
    from torch import nn

    rows, width = drawn(seed, rows=(8, 65), width=(32, 129))
    with torch.device("meta"):
        model = nn.Sequential(nn.EmbeddingBag(100_000, width), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2))
        return formula_and_count(model, torch.empty(rows, 20, dtype=torch.long))


@short_context.counter("activations are not kept but computed again")
def computed_again(seed):
    model, tokens = gpt(seed, context_to_width=0.25)
    for block in model.blocks:
        recompute(block)
    return formula_and_count(model, tokens)


def drawn(seed, **ranges):
    import numpy as np

    rng = np.random.default_rng(seed)
    return [int(rng.integers(*bounds)) for bounds in ranges.values()]


def gpt(seed, context_to_width):
    """A GPT of a size drawn from the seed, and a batch for it; on the device "meta", which has shapes but no numbers."""
    import torch

    from course_lib.training.gpt import GPT

    heads, depth, rows = drawn(seed, heads=(8, 33), depth=(2, 7), rows=(1, 5))
    context = int(64 * heads * context_to_width)
    with torch.device("meta"):
        return GPT(256, context, 64 * heads, depth, heads), torch.empty(rows, context, dtype=torch.long)


def recompute(block):
    """Keep only what goes into the block, and compute the rest again in the backward pass."""
    from torch.utils.checkpoint import checkpoint

    forward = block.forward
    block.forward = lambda x: checkpoint(forward, x, use_reentrant=False)


def formula_and_count(model, X):
    """What the formula says of one step on X, and what PyTorch counts in its matrix products."""
    weights = sum(p.numel() for p in model.parameters())
    rows = X.numel() if hasattr(model, "blocks") else len(X)
    return Result(6 * weights * rows, counted(model, X))


def counted(model, X):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(X).sum().backward()
    return counter.get_total_flops()


# --- The data split over devices ---------------------------------------------------------------------------------------


@claim("B-8.3.2.3-2", metric="distance of the weights from those of one device after an epoch, relative to their way",
       expects="same", margin=0.001, seeds=10, when="4 devices share each batch evenly")  # fmt: skip
def even_shards(seed):
    return alone_and_together(seed, sizes=(8, 8, 8, 8))


@even_shards.counter("one device has 26 rows of 32, the others 2 each, and all gradients count alike")
def uneven_shards(seed):
    return alone_and_together(seed, sizes=(26, 2, 2, 2))


@even_shards.counter("one device has 26 rows of 32, and each gradient counts by its rows")
def weighted_shards(seed):
    return alone_and_together(seed, sizes=(26, 2, 2, 2), weights=(26 / 32, 2 / 32, 2 / 32, 2 / 32))


@even_shards.counter("4 devices share each batch evenly, and BatchNorm sees its own device's rows only")
def own_batch_norm(seed):
    return alone_and_together(seed, sizes=(8, 8, 8, 8), normalize=True)


@even_shards.counter("each of 4 devices takes as many rows as one did, at the same rate")
def four_batches(seed):
    return alone_and_together(seed, sizes=(32, 32, 32, 32))


@even_shards.counter("each of 4 devices takes as many rows as one did, at 4 times a small rate")
def four_times_a_small_rate(seed):
    return alone_and_together(seed, sizes=(32, 32, 32, 32), faster=4)


@even_shards.counter("each of 4 devices takes as many rows as one did, at 4 times a large rate")
def four_times_a_large_rate(seed):
    return alone_and_together(seed, sizes=(32, 32, 32, 32), faster=4, rate=0.5)


def alone_and_together(seed, sizes, weights=None, normalize=False, rate=0.05, faster=1):
    """An epoch on one device in batches of 32, and one on a device for each of `sizes`, which is its share of a batch."""
    X, y = waves(seed, 1024)
    weights = weights or [1 / len(sizes)] * len(sizes)
    start = flat(network(seed, normalize))
    one = flat(epoch(network(seed, normalize), X, y, [32], [1.0], rate))
    many = flat(epoch(network(seed, normalize), X, y, sizes, weights, faster * rate))
    return Result(0.0, relative(many, one, start))


def epoch(model, X, y, sizes, weights, rate):
    """One pass over the rows; each step adds up the devices' gradients, which is what an all-reduce does."""
    import torch

    optimizer = torch.optim.SGD(model.parameters(), rate)
    for rows in torch.arange(len(X)).split(sum(sizes)):
        optimizer.zero_grad()
        for part, weight in zip(rows.split(list(sizes)), weights):
            (weight * torch.nn.functional.cross_entropy(model(X[part]), y[part])).backward()
        optimizer.step()
    return model


def relative(found, exact, start=0.0):
    return ((found - exact).norm() / (exact - start).norm()).item()


def flat(model):
    import torch

    return torch.cat([p.detach().flatten() for p in model.parameters()])


def waves(seed, n):
    import torch

    from course_lib.datasets import make_mnist1d

    X, y = make_mnist1d(n, random_state=seed)
    return torch.tensor(X, dtype=torch.float32), torch.tensor(y)


def network(seed, normalize=False, outputs=10):
    import torch
    from torch import nn

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        norm = [nn.BatchNorm1d(64)] if normalize else []
        return nn.Sequential(nn.Linear(40, 64), *norm, nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs))


# --- The model split over devices --------------------------------------------------------------------------------------


@claim("B-8.3.2.3-3", metric="distance of the gradient from that of the undivided model, relative", expects="same", margin=0.001,
       seeds=10, when="2 devices hold half of the hidden units each, and add their outputs")  # fmt: skip
def units_split(seed):
    return divided(seed, lambda X, A, B: sum((X @ a.T).relu() @ b.T for a, b in zip(A.chunk(2), B.chunk(2, 1))))


@units_split.counter("2 devices hold a layer each, and 4 micro-batches pass through")
def layers_split(seed):
    return divided(seed, lambda X, A, B: in_pieces(X, lambda piece: (piece @ A.T).relu() @ B.T))


@units_split.counter("2 devices hold half of the inputs each, and apply ReLU before they add")
def relu_before_sum(seed):
    return divided(seed, lambda X, A, B: sum((x @ a.T).relu() for x, a in zip(X.chunk(2, 1), A.chunk(2, 1))) @ B.T)


@units_split.counter("2 devices hold half of the hidden units each, and LayerNorm sees its own device's half only")
def own_layer_norm(seed):
    halves = lambda X, A, B: sum(normal((X @ a.T).relu(), 1) @ b.T for a, b in zip(A.chunk(2), B.chunk(2, 1)))
    return divided(seed, halves, whole=lambda X, A, B: normal((X @ A.T).relu(), 1) @ B.T)


@units_split.counter("2 devices hold a layer each, 4 micro-batches pass through, and BatchNorm sees one of them at a time")
def norm_of_pieces(seed):
    whole = lambda X, A, B: normal((X @ A.T).relu(), 0) @ B.T
    return divided(seed, lambda X, A, B: in_pieces(X, lambda piece: whole(piece, A, B)), whole=whole)


def divided(seed, parts, whole=lambda X, A, B: (X @ A.T).relu() @ B.T):
    """The gradients of two layers A and B as `parts` and as `whole` compute their output."""
    import torch

    X, y = waves(seed, 32)
    model = network(seed)
    gradients = []
    for compute in (whole, parts):
        A, B = model[0].weight.detach().clone().requires_grad_(), model[-1].weight.detach().clone().requires_grad_()
        torch.nn.functional.cross_entropy(compute(X, A, B), y).backward()
        gradients.append(torch.cat([A.grad.flatten(), B.grad.flatten()]))
    return Result(0.0, relative(gradients[1], gradients[0]))


def in_pieces(X, compute):
    import torch

    return torch.cat([compute(piece) for piece in X.chunk(4)])


def normal(h, axis):
    """LayerNorm (axis 1) or BatchNorm (axis 0), before their scale and shift."""
    return (h - h.mean(axis, keepdim=True)) / (h.var(axis, correction=0, keepdim=True) + 1e-5).sqrt()


# --- Half of the bits ------------------------------------------------------------------------------------------------


@claim("B-8.3.2.3-5", metric="result (a training loss, a weight or a sum) in fp32 and in half precision", expects="same",
       scale="ratio", margin=0.03, seeds=6, when="a network is trained with weights in bf16")  # fmt: skip
def bf16_weights(seed):
    return Result(trained(seed), trained(seed, weights="bfloat16"))


@bf16_weights.counter("a network is trained with weights in fp16")
def fp16_weights(seed):
    return Result(trained(seed), trained(seed, weights="float16"))


@bf16_weights.counter("weights in bf16 are updated in an fp32 copy")
def master_weights(seed):
    return Result(trained(seed), trained(seed, weights="bfloat16", master=True))


@bf16_weights.counter("weights in bf16 are rounded up or down by chance, right on average")
def rounded_by_chance(seed):
    return Result(trained(seed), trained(seed, weights="bfloat16", by_chance=True))


@bf16_weights.counter("1,000 updates of about 0.0001 are subtracted from a weight of 1 in bf16")
def small_updates(seed):
    return in_turn(seed, "bfloat16", start=1.0, step=-1e-4, times=1000)


@bf16_weights.counter("1,000 updates of about 0.0001 are subtracted from a weight of 1 in fp16")
def small_updates_fp16(seed):
    return in_turn(seed, "float16", start=1.0, step=-1e-4, times=1000)


@bf16_weights.counter("5,000 numbers of about 1 are added in fp16")
def long_sum(seed):
    return in_turn(seed, "float16", start=0.0, step=1.0, times=5000)


@bf16_weights.counter("a network that was trained in fp32 is only applied in bf16")
def applied_in_bf16(seed):
    import torch

    X, y = waves(seed, 1024)
    model = train(network(seed), X, y)
    return Result(loss_of(model, X, y), loss_of(model.to(torch.bfloat16), X.to(torch.bfloat16), y))


def in_turn(seed, dtype, start, step, times):
    """Add `times` numbers, `step` give or take a tenth, to `start` one after the other, in fp32 and in `dtype`."""
    import torch

    steps = step * (1 + 0.1 * torch.randn(times, generator=torch.Generator().manual_seed(seed)))
    found = []
    for kind in (torch.float32, getattr(torch, dtype)):
        value = torch.tensor(start, dtype=kind)
        for one in steps.to(kind):
            value = value + one
        found.append(value.item())
    return Result(*found)


def trained(seed, **options):
    import torch

    X, y = waves(seed, 1024)
    model = network(seed)
    if "weights" in options:
        dtype = getattr(torch, options.pop("weights"))
        X, model = X.to(dtype), model.to(dtype)
    return loss_of(train(model, X, y, **options), X, y)


def train(model, X, y, master=False, by_chance=False, num_epochs=15):
    """SGD with momentum. `master`: the weights that are updated are an fp32 copy, and the model's are rounded from them."""
    import torch

    owned = [p.detach().float().clone() for p in model.parameters()] if master or by_chance else list(model.parameters())
    optimizer = torch.optim.SGD(owned, 0.01, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    for _ in range(num_epochs):
        for rows in torch.randperm(len(X), generator=generator).split(32):
            model.zero_grad()
            torch.nn.functional.cross_entropy(model(X[rows]).float(), y[rows]).backward()
            if master or by_chance:
                update(optimizer, owned, list(model.parameters()), by_chance, generator)
            else:
                optimizer.step()
    return model


def update(optimizer, owned, weights, by_chance, generator):
    """Move the fp32 copies, and round them to the weights; by chance, nothing but the rounded ones is kept."""
    import torch

    for copy, weight in zip(owned, weights):
        copy.grad = weight.grad.float()
    optimizer.step()
    with torch.no_grad():
        for copy, weight in zip(owned, weights):
            weight.copy_(dithered(copy, generator) if by_chance else copy)
            if by_chance:
                copy.copy_(weight)


def dithered(values, generator):
    """fp32 values rounded to bf16, up or down with the chance that makes the mean right: bf16 is fp32 without 16 bits."""
    import torch

    noise = torch.randint(0, 1 << 16, values.shape, generator=generator, dtype=torch.int32)
    return ((values.view(torch.int32) + noise) & -65536).view(torch.float32)


def loss_of(model, X, y):
    import torch

    with torch.no_grad():
        return torch.nn.functional.cross_entropy(model(X).float(), y).item()


@claim("B-8.3.2.3-6", metric="training loss in fp32 and in mixed precision", expects="same", scale="ratio", margin=0.05, seeds=6,
       when="layers compute in bf16, and weights, sums and updates stay in fp32")  # fmt: skip
def mixed_bf16(seed):
    return fp32_and_mixed(seed, "bfloat16", classes)


@mixed_bf16.counter("layers compute in fp16 and the loss is scaled; targets are thousandths")
def scaled_fp16(seed):
    return fp32_and_mixed(seed, "float16", thousandths, scaled=True)


@mixed_bf16.counter("layers compute in fp16 and the loss is not scaled; targets are thousandths")
def unscaled_fp16(seed):
    return fp32_and_mixed(seed, "float16", thousandths)


@mixed_bf16.counter("layers compute in bf16 and the loss is not scaled; targets are thousandths")
def unscaled_bf16(seed):
    return fp32_and_mixed(seed, "bfloat16", thousandths)


@mixed_bf16.counter("layers compute in bf16, and the features are far from zero: 1,000 is added to each")
def far_from_zero(seed):
    return fp32_and_mixed(seed, "bfloat16", a_thousand_added)


def classes(seed):
    X, y = waves(seed, 1024)
    return network(seed), X, y


def a_thousand_added(seed):
    X, y = waves(seed, 1024)
    return network(seed, normalize=True), X + 1000, y


def thousandths(seed):
    """Regression on a function of one feature whose values are thousandths; the network begins with the answer 0."""
    import torch

    X, _ = waves(seed, 1024)
    model = network(seed, outputs=1)
    with torch.no_grad():
        for p in model[-1].parameters():
            p.zero_()
    return model, X, (2 * X[:, :1]).sin() / 1000


def fp32_and_mixed(seed, dtype, task, scaled=False):
    return Result(trained_mixed(*task(seed)), trained_mixed(*task(seed), dtype, scaled))


def trained_mixed(model, X, y, dtype=None, scaled=False, num_epochs=13):
    """AdamW, its rate falling to 0, with PyTorch's autocast to `dtype`, and a loss times a large number if `scaled`."""
    import torch

    optimizer, scaler = torch.optim.AdamW(model.parameters(), 1e-3, fused=True), torch.amp.GradScaler("cpu", enabled=scaled)
    loss = torch.nn.functional.mse_loss if y.is_floating_point() else torch.nn.functional.cross_entropy
    autocast = lambda: torch.autocast("cpu", getattr(torch, dtype or "bfloat16"), enabled=dtype is not None)
    generator = torch.Generator().manual_seed(0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=num_epochs * len(X) // 32)
    for _ in range(num_epochs):
        for rows in torch.randperm(len(X), generator=generator).split(32):
            optimizer.zero_grad()
            with autocast():
                value = loss(model(X[rows]), y[rows])
            scaler.scale(value).backward()
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
    with torch.no_grad(), autocast():
        return loss(model(X), y).item()


# --- What the source leaves out: other ways to need less memory ------------------------------------------------------


@claim("B-8.3.2.3-7", metric="largest number of bytes in tensors during a training step", expects="lower", scale="ratio", margin=0.1,
       seeds=5, when="the activations of a GPT's blocks are computed again instead of kept")  # fmt: skip
def blocks_computed_again(seed):
    return plain_and(seed, rows=8, prepare=lambda model: [recompute(block) for block in model.blocks])


@blocks_computed_again.counter("8 rows are taken one by one, and their gradients added up")
def accumulated(seed):
    return plain_and(seed, rows=8, pieces=8)


@blocks_computed_again.counter("only the last of 8 blocks is trained")
def partly_trained(seed):
    def prepare(model):
        model.requires_grad_(False)
        model.blocks[-1].requires_grad_()

    return plain_and(seed, rows=8, prepare=prepare)


@blocks_computed_again.counter("the whole model is computed again as one piece")
def whole_computed_again(seed):
    return plain_and(seed, rows=8, prepare=recompute)


@blocks_computed_again.counter("the activations are computed again, but there is only one row of 4 tokens")
def weights_outweigh(seed):
    return plain_and(seed, rows=1, tokens=4, prepare=lambda model: [recompute(block) for block in model.blocks])


@blocks_computed_again.counter("4 rows of 4 tokens are taken one by one, and their gradients added up")
def accumulated_few(seed):
    return plain_and(seed, rows=4, tokens=4, pieces=4)


def plain_and(seed, rows, tokens=64, pieces=1, prepare=lambda model: None):
    return Result(peak_bytes(small_gpt(seed), rows, tokens, 1), peak_bytes(small_gpt(seed, prepare), rows, tokens, pieces))


def small_gpt(seed, prepare=lambda model: None):
    from course_lib.training.gpt import GPT

    (width,) = drawn(seed, width=(2, 5))
    model = GPT(256, 64, 16 * width, depth=8, heads=width)
    prepare(model)
    return model


def peak_bytes(model, rows, tokens, pieces):
    """The most bytes that tensors held during the second step of AdamW: weights, gradients, its state, activations."""
    import torch

    X = torch.zeros(rows, tokens, dtype=torch.long)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], foreach=False)

    def step():
        for piece in X.chunk(pieces):
            loss = torch.nn.functional.cross_entropy(model(piece).flatten(0, 1), piece.flatten())
            (loss / pieces).backward()
        optimizer.step()

    step()  # makes gradients and the optimizer's state
    held = [*model.parameters(), *(p.grad for p in model.parameters() if p.grad is not None)]
    held += [value for state in optimizer.state.values() for value in state.values()]
    with live_bytes(held) as live:
        step()
    return live.peak


def live_bytes(held):
    """A context that follows every tensor made inside it until it is freed; `held` are those that are there before."""
    import weakref

    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class LiveBytes(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.known, self.now, self.peak = weakref.WeakSet(), 0, 0
            self.add(held)

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            made = function(*args, **(kwargs or {}))
            self.add(made)
            return made

        def add(self, made):
            for tensor in tree_leaves(made):
                if hasattr(tensor, "untyped_storage") and (storage := tensor.untyped_storage()) not in self.known:
                    self.known.add(storage)
                    self.now += storage.nbytes()
                    weakref.finalize(storage, self.free, storage.nbytes())
            self.peak = max(self.peak, self.now)

        def free(self, n_bytes):
            self.now -= n_bytes

    return LiveBytes()


# --- Does it save computing? -----------------------------------------------------------------------------------------


@claim("B-QA-3", metric="operations of all devices together until the training loss is 1", expects="lower", scale="ratio",
       margin=0.05, seeds=6, when="8 devices share each batch that one device took")  # fmt: skip
def shared_batch(seed):
    return Result(operations(seed, rows=64), operations(seed, rows=64, devices=8))


@shared_batch.counter("8 devices take as many rows each as one did, at the same rate")
def eight_batches(seed):
    return Result(operations(seed, rows=64), operations(seed, rows=512, devices=8))


@shared_batch.counter("8 devices take as many rows each as one did, at 8 times the rate")
def eight_batches_eight_rates(seed):
    return Result(operations(seed, rows=64), operations(seed, rows=512, devices=8, rate=0.32))


@shared_batch.counter("one device had to compute its activations twice for want of memory, and 8 devices need not")
def memory_of_eight(seed):
    return Result(operations(seed, rows=64, twice=True), operations(seed, rows=64, devices=8))


def operations(seed, rows, devices=1, rate=0.04, twice=False, most_epochs=400):
    """Train until the loss of all rows is below 1; return what all devices have computed until then, as counted."""
    import itertools

    import torch

    X, y = waves(seed, 1024)
    model = network(seed)
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    orders = (torch.randperm(len(X), generator=generator) for _ in range(most_epochs))
    steps = 0
    for batch in itertools.chain.from_iterable(order.split(rows) for order in orders):
        if loss_of(model, X, y) < 1:
            break
        steps += 1
        optimizer.zero_grad()
        for part in batch.chunk(devices):
            (torch.nn.functional.cross_entropy(model(X[part]), y[part]) / devices).backward()
        optimizer.step()
    else:
        raise RuntimeError(f"seed {seed}, {rows} rows, rate {rate}: the loss is above 1 after {most_epochs} epochs")
    if twice:
        recompute(model)
    return steps * devices * counted(model, X[: rows // devices])
