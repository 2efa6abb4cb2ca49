"""The experiments of chapter 07 are what their words say: what is split, rounded, kept and counted."""

import pytest
import torch

from course_lib import evidence
from course_lib.evidence.experiments import compute_limits as experiments
from course_lib.labs.compute_limits import memory


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("claim_id", "outcomes"), [
    ("B-8.3.2.3-1", ["holds", "differs", "differs", "differs", "differs"]),
    ("B-8.3.2.3-2", ["holds", "differs", "holds", "differs", "differs", "differs", "differs"]),
    ("B-8.3.2.3-3", ["holds", "holds", "differs", "differs", "differs"]),
    ("B-8.3.2.3-5", ["differs", "holds", "holds", "holds", "differs", "differs", "differs", "holds"]),
    ("B-8.3.2.3-6", ["holds", "holds", "differs", "holds", "differs"]),
    ("B-8.3.2.3-7", ["holds", "holds", "holds", "no effect", "no effect", "no effect"]),
    ("B-QA-3", ["no effect", "harms", "harms", "holds"]),
])  # fmt: skip
def test_outcomes_that_the_lesson_rests_on(claim_id, outcomes):
    assert [effect.outcome for effect in evidence.measured(claim_id).effects] == outcomes


def test_four_times_a_small_rate_goes_nearly_the_same_way():
    small, large = evidence.measured("B-8.3.2.3-2").effects[5:]
    assert small.after < 0.1 < 0.3 < large.after


def test_checkpointing_costs_less_than_the_third_that_is_quoted():
    kept, again = (evidence.measured("B-8.3.2.3-1").effects[i] for i in (0, 4))
    assert 1.1 < again.after / kept.after < 4 / 3


def gradients(model, pieces=1):
    X = torch.randint(256, (8, 32), generator=torch.Generator().manual_seed(0))
    for piece in X.chunk(pieces):
        (torch.nn.functional.cross_entropy(model(piece).flatten(0, 1), piece.flatten()) / pieces).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def twins(change):
    """Two GPTs with the same weights, the second changed."""
    first, second = (experiments.small_gpt(0) for _ in range(2))
    second.load_state_dict(first.state_dict())
    change(second)
    return first, second


def test_what_saves_memory_leaves_the_gradient_as_it_is():
    plain, again = map(gradients, twins(lambda model: [experiments.recompute(block) for block in model.blocks]))
    assert torch.equal(plain, again)
    one, same = twins(lambda model: None)
    assert experiments.relative(gradients(same, pieces=8), gradients(one)) < 1e-5


def test_peak_counts_what_is_there_and_what_is_freed():
    held = torch.zeros(1000)
    with experiments.live_bytes([held]) as live:
        for _ in range(3):
            made = torch.ones(500) + 1  # two of 2,000 bytes at a time; the one before is freed when its name is taken
            made.view(5, 100)  # no bytes of its own
            made = None
    assert live.peak == 4000 + 2 * 2000 and live.now == 4000


def test_peak_of_a_step_holds_weights_gradients_and_state():
    model = experiments.small_gpt(0)
    weights = sum(p.nbytes for p in model.parameters())
    said = memory(weights // 4, 8, model.tokens.embedding_dim, 4, heads=model.blocks[0].attention.heads)
    assert 4 * weights < experiments.peak_bytes(model, 1, 4, 1) < 1.1 * sum(said.values())


def test_rounding_by_chance_is_right_on_average_and_gives_bf16():
    values = torch.tensor([1.0, 1.001, -0.3, 3e-5]).repeat(20000, 1)
    rounded = experiments.dithered(values, torch.Generator().manual_seed(0))
    assert torch.equal(rounded, rounded.to(torch.bfloat16).float())
    torch.testing.assert_close(rounded.mean(0), values[0], rtol=1e-4, atol=0)
    assert len(rounded[:, 1].unique()) == 2 and len(rounded[:, 0].unique()) == 1


def test_one_device_and_four_start_from_the_same_weights():
    assert torch.equal(experiments.flat(experiments.network(3)), experiments.flat(experiments.network(3)))
    assert experiments.alone_and_together(0, sizes=(32,)).after == 0.0


def test_without_loss_scaling_most_small_gradients_are_rounded_to_zero():
    model, X, y = experiments.thousandths(0)
    experiments.trained_mixed(model, X, y)

    def gradient(scale=1.0, dtype=torch.float16, enabled=True):
        model.zero_grad()
        with torch.autocast("cpu", dtype, enabled=enabled):
            loss = torch.nn.functional.mse_loss(model(X[:32]), y[:32])
        (scale * loss).backward()
        return torch.cat([p.grad.flatten() for p in model.parameters()])

    there = gradient(enabled=False) != 0
    lost = lambda *options: (gradient(*options)[there] == 0).double().mean()
    assert lost() > 0.5 and lost(2.0**16) < 0.01 and lost(1.0, torch.bfloat16) < 0.02


def test_operations_stop_with_an_error_where_the_loss_is_not_reached():
    with pytest.raises(RuntimeError, match="above 1 after 1 epochs"):
        experiments.operations(0, rows=64, most_epochs=1)
