"""Chapter 10: what lets a deep network converge (B 8.3.2.6).

Convergence is about the training loss, so that is the metric everywhere: the mean over the batches of the tenth epoch,
of 1,000 waves of MNIST-1D; ln 10 = 2.30 is guessing. Where nothing else is said, networks are 64 units wide and trained
by momentum 0.9. "At its best rate" means the best of 0.0001, 0.0003, 0.001, ..., 0.3 for that arm, chosen once.
"""

from functools import partial

from course_lib.evidence.registry import Result, claim
from course_lib.schedules import constant, warm_up


@claim("B-8.3.2.6-7", metric="training loss of the tenth epoch", expects="lower", margin=0.05, seeds=6,
       when="six residual blocks are normalised after each sum, Adam's rate is 0.01, and it warms up for 48 steps")  # fmt: skip
def warm_up_after_sums(seed):
    return without_and_with_warm_up(seed, after_sum=True, rate=0.01)


@warm_up_after_sums.counter("the blocks are normalised inside their branch")
def warm_up_inside(seed):
    return without_and_with_warm_up(seed, after_sum=False, rate=0.01)


@warm_up_after_sums.counter("the rate is 0.003")
def warm_up_small_rate(seed):
    return without_and_with_warm_up(seed, after_sum=True, rate=0.003)


def without_and_with_warm_up(seed, after_sum, rate):
    return Result(*(residual_loss(seed, after_sum, rate, schedule) for schedule in (constant(1.0), warm_up(constant(1.0), 48))))


def residual_loss(seed, after_sum, rate, schedule):
    """Train six residual blocks on 1,000 waves of MNIST-1D for ten epochs of 16 steps; return the last epoch's mean loss."""
    import torch
    from torch import nn

    from course_lib.datasets import make_mnist1d
    from course_lib.training.fit import fit

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.branch = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64))
            self.norm = nn.LayerNorm(64)

        def forward(self, x):
            return self.norm(x + self.branch(x)) if after_sum else x + self.branch(self.norm(x))

    X, y = make_mnist1d(1000, random_state=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(40, 64), *(Block() for _ in range(6)), nn.Linear(64, 10))
    adam = torch.optim.Adam(model.parameters(), rate)
    history = fit(model, (torch.tensor(X, dtype=torch.float32), torch.tensor(y)), optimizer=adam, schedule=schedule,
                  num_epochs=10, random_state=seed, progress=False)  # fmt: skip
    return history.frame.loss.iloc[-1]


@warm_up_after_sums.counter("a recurrent network's rate is 0.3, and its gradient is clipped to norm 0.3")
def clip_large_rate(seed):
    return Result(*(recurrent_loss(seed, 0.3, clip_norm) for clip_norm in (None, 0.3)))


@warm_up_after_sums.counter("the recurrent network's rate is 0.03, and its gradient is clipped to norm 0.3")
def clip_small_rate(seed):
    return Result(*(recurrent_loss(seed, 0.03, clip_norm) for clip_norm in (None, 0.3)))


@warm_up_after_sums.counter("inputs of mean 100 and deviation 20 are standardised, each at its best rate")
def standardise(seed):
    build = partial(plain, 3, start=he)
    return Result(tenth_loss(seed, build, 0.0001, change=lambda X: 20 * X + 100), tenth_loss(seed, build, 0.1))


def recurrent_loss(seed, rate, clip_norm):
    """The waves are read four points at a time."""
    from torch import nn

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent, self.head = nn.RNN(4, 32, batch_first=True), nn.Linear(32, 10)

        def forward(self, x):
            return self.head(self.recurrent(x.unflatten(1, (10, 4)))[1][0])

    return tenth_loss(seed, Reader, rate, clip_norm=clip_norm)


@claim("B-8.3.2.6-2", metric="training loss of the tenth epoch", expects="lower", margin=0.1, seeds=6,
       when="9 layers change from sigmoid to GELU, each at its best rate")  # fmt: skip
def sigmoid_to_gelu(seed):
    return Result(tenth_loss(seed, partial(plain, 9, "Sigmoid"), 0.1), tenth_loss(seed, partial(plain, 9, "GELU", start=he), 0.03))


@sigmoid_to_gelu.counter("2 layers change from sigmoid to GELU, each at its best rate")
def sigmoid_to_gelu_shallow(seed):
    return Result(tenth_loss(seed, partial(plain, 2, "Sigmoid"), 0.3), tenth_loss(seed, partial(plain, 2, "GELU", start=he), 0.1))


@sigmoid_to_gelu.counter("9 layers change from ReLU to GELU")
def relu_to_gelu(seed):
    return Result(*(tenth_loss(seed, partial(plain, 9, activation, start=he), 0.03) for activation in ("ReLU", "GELU")))


@sigmoid_to_gelu.counter("2 layers change from ReLU to SiLU")
def relu_to_silu_shallow(seed):
    return Result(*(tenth_loss(seed, partial(plain, 2, activation, start=he), 0.1) for activation in ("ReLU", "SiLU")))


@claim("B-8.3.2.6-3", metric="training loss of the tenth epoch", expects="lower", margin=0.1, seeds=6,
       when="8 layers have PyTorch's default start, at which they do not train without")  # fmt: skip
def batch_norm_default_start(seed):
    return normalised(seed, "BatchNorm1d", 8, default, (0.01, 0.01))


@batch_norm_default_start.counter("3 layers have a rate five times too large")
def batch_norm_large_rate(seed):
    return normalised(seed, "BatchNorm1d", 3, default, (0.5, 0.5))


@batch_norm_default_start.counter("20 layers start from He's width, each at its best rate")
def batch_norm_he_start(seed):
    return normalised(seed, "BatchNorm1d", 20, he, (0.01, 0.1))


@batch_norm_default_start.counter("batches are of 2 rows (of 200), each at its best rate")
def batch_norm_two_rows(seed):
    return normalised(seed, "BatchNorm1d", 3, default, (0.01, 0.01), rows=200, batch_size=2)


@claim("B-8.3.2.6-4", metric="training loss of the tenth epoch", expects="lower", margin=0.1, seeds=6,
       when="8 layers have PyTorch's default start, at which they do not train without")  # fmt: skip
def layer_norm_default_start(seed):
    return normalised(seed, "LayerNorm", 8, default, (0.01, 0.01))


@layer_norm_default_start.counter("20 layers have PyTorch's default start, each at its best rate")
def layer_norm_deep(seed):
    return normalised(seed, "LayerNorm", 20, default, (0.003, 0.003))


@layer_norm_default_start.counter("20 layers start from He's width, each at its best rate")
def layer_norm_he_start(seed):
    return normalised(seed, "LayerNorm", 20, he, (0.01, 0.01))


@layer_norm_default_start.counter("batches are of 2 rows (of 200), each at its best rate")
def layer_norm_two_rows(seed):
    return normalised(seed, "LayerNorm", 3, default, (0.01, 0.003), rows=200, batch_size=2)


def normalised(seed, norm, depth, start, rates, **data):
    return Result(*(tenth_loss(seed, partial(plain, depth, norm=one, start=start), rate, **data) for one, rate in zip((None, norm), rates)))


@claim("B-8.3.2.6-5", metric="training loss of the tenth epoch", expects="lower", margin=0.1, seeds=6,
       when="there are 30 layers, and a branch counts 1/sqrt(28)")  # fmt: skip
def residual_deep(seed):
    return Result(tenth_loss(seed, partial(plain, 30), 0.1), tenth_loss(seed, partial(plain, 30, branch=28**-0.5), 0.1))


@residual_deep.counter("the 30 layers without them start from He's width, each at its best rate")
def residual_against_he(seed):
    return Result(tenth_loss(seed, partial(plain, 30, start=he), 0.01), tenth_loss(seed, partial(plain, 30, branch=28**-0.5), 0.1))


@residual_deep.counter("there are 3 layers, from He's width")
def residual_shallow(seed):
    return Result(*(tenth_loss(seed, partial(plain, 3, start=he, branch=branch), 0.1) for branch in (None, 1.0)))


@residual_deep.counter("there are 30 layers, and a branch counts in full, at the best rate for that")
def residual_unscaled(seed):
    return Result(tenth_loss(seed, partial(plain, 30), 0.001), tenth_loss(seed, partial(plain, 30, branch=1.0), 0.001))


@claim("B-8.3.2.6-6", metric="training loss of the tenth epoch", expects="lower", margin=0.05, seeds=6,
       when="they replace full convolutions of 32 channels")  # fmt: skip
def separable_same_channels(seed):
    return Result(convolution_loss(seed, 32, False, 0.01), convolution_loss(seed, 32, True, 0.01))


@separable_same_channels.counter("they have 32 channels and the full convolutions 16, so that both have about as many weights")
def separable_same_weights(seed):
    return Result(convolution_loss(seed, 16, False, 0.03), convolution_loss(seed, 32, True, 0.01))


def convolution_loss(seed, channels, separable, rate):
    """Trained by Adam, at the best of 0.003, 0.01, 0.03 and 0.1."""
    import torch

    return tenth_loss(seed, partial(convolutional, channels, separable), rate, optimizer=torch.optim.Adam)


def convolutional(channels, separable):
    """Three convolutions of 5 points, each followed by batch norm and ReLU; the first is always a full one."""
    from torch import nn

    def convolution(stride):
        if separable:
            return [nn.Conv1d(channels, channels, 5, stride, 2, groups=channels), nn.Conv1d(channels, channels, 1)]
        return [nn.Conv1d(channels, channels, 5, stride, 2)]

    steps = [nn.Conv1d(1, channels, 5, 2, 2)], convolution(2), convolution(1)
    layers = [module for step in steps for module in (*step, nn.BatchNorm1d(channels), nn.ReLU())]
    return nn.Sequential(nn.Unflatten(1, (1, 40)), *layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(channels, 10))


def default(layer):
    """PyTorch's own: uniform, with a variance of 1 / (3 inputs)."""


def he(layer):
    from torch import nn

    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)


def plain(depth, activation="ReLU", norm=None, start=default, branch=None):
    """A network of `depth` linear layers, each but the last with a norm and an activation behind it.

    norm, activation: names of classes in torch.nn. start: function that changes a layer's weights in place. branch:
    None, or the factor of what a layer adds to its input, where both are 64 wide.
    """
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return x + branch * self.layer(x)

    def layer(inputs):
        linear = nn.Linear(inputs, 64)
        start(linear)
        return nn.Sequential(linear, *([getattr(nn, norm)(64)] if norm else []), getattr(nn, activation)())

    inner = [layer(64) for _ in range(depth - 2)]
    return nn.Sequential(layer(40), *(inner if branch is None else map(Residual, inner)), nn.Linear(64, 10))


def tenth_loss(seed, build, rate, *, rows=1000, batch_size=64, clip_norm=None, optimizer=None, change=lambda X: X):
    """Train the model that `build()` returns for ten epochs; return the mean training loss of the tenth."""
    import torch

    from course_lib.datasets import make_mnist1d
    from course_lib.training.fit import fit

    X, y = make_mnist1d(rows, random_state=seed)
    X, y = torch.tensor(change(X), dtype=torch.float32), torch.tensor(y)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build()
    optimizer = optimizer(model.parameters(), rate) if optimizer else torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    history = fit(model, (X, y), optimizer=optimizer, batch_size=batch_size, clip_norm=clip_norm, num_epochs=10,
                  random_state=seed, progress=False, device="cpu")  # fmt: skip
    return history.frame.loss.iloc[-1]
