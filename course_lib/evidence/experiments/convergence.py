"""Chapter 10: what lets a deep network converge (B 8.3.2.6)."""

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
