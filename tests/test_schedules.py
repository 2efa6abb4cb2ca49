"""Each schedule against torch's, at its corners, and as a curve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.schedules import constant, cosine, restarts, step_decay, warm_up

STEPS = np.arange(50)


def torch_rates(make, rate):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    schedule, rates = make(torch.optim.lr_scheduler, optimizer), []
    for _ in STEPS:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (step_decay(0.8, 0.3, every=7), lambda s, o: s.StepLR(o, 7, gamma=0.3)),
        (cosine(0.8, 49), lambda s, o: s.CosineAnnealingLR(o, 49)),
        (cosine(0.8, 60, final=0.1), lambda s, o: s.CosineAnnealingLR(o, 60, eta_min=0.1)),
        (restarts(0.8, 9), lambda s, o: s.CosineAnnealingWarmRestarts(o, 9)),
        (restarts(0.8, 9, final=0.1), lambda s, o: s.CosineAnnealingWarmRestarts(o, 9, eta_min=0.1)),
        (warm_up(constant(0.8), 9), lambda s, o: s.LinearLR(o, start_factor=0.1, total_iters=9)),
    ],
    ids=["step", "cosine", "cosine with floor", "restarts", "restarts with floor", "warm-up"],
)
def test_equals_torch(ours, theirs):
    np.testing.assert_allclose(ours(STEPS), torch_rates(theirs, 0.8), rtol=1e-12, atol=1e-14)


SCHEDULES = st.one_of(
    st.builds(constant, st.floats(1e-3, 1)),
    st.builds(step_decay, st.floats(1e-3, 1), st.floats(0.1, 1), st.integers(1, 20)),
    st.builds(cosine, st.floats(1e-3, 1), st.integers(1, 60)),
    st.builds(restarts, st.floats(1e-3, 1), st.integers(1, 20)),
)


@given(SCHEDULES, st.integers(0, 20))
def test_never_negative_and_the_same_for_an_array_as_one_by_one(schedule, steps):
    rate = warm_up(schedule, steps)
    curve = rate(STEPS)
    assert curve.shape == STEPS.shape and (curve >= 0).all()
    np.testing.assert_allclose(curve, [rate(int(t)) for t in STEPS], rtol=1e-13)


@given(SCHEDULES, st.integers(0, 20))
def test_warm_up_is_the_schedule_itself_once_it_is_over(schedule, steps):
    np.testing.assert_allclose(warm_up(schedule, steps)(STEPS + steps), schedule(STEPS), rtol=1e-13)


def test_corners():
    assert cosine(0.5, 10)(0) == 0.5
    assert cosine(0.5, 10)(10) == cosine(0.5, 10)(1000) == 0
    assert cosine(0.5, 10, final=0.1)(10) == pytest.approx(0.1)
    assert restarts(0.5, 10)(10) == restarts(0.5, 10)(0) == 0.5
    assert warm_up(cosine(0.5, 10), 10)(9) < warm_up(cosine(0.5, 10), 10)(10) == 0.5
    assert step_decay(1.0, 0.1, every=10)(9) == 1.0
    assert cosine(0.5, 10)(5.0) == 0.25  # a step that comes as a float is a step


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: constant(0), ValueError, "rate must be above 0"),
        (lambda: cosine(0.1, 0), ValueError, "num_iterations must be at least 1"),
        (lambda: cosine(0.1, 10, final=-1), ValueError, "final must be 0 or above"),
        (lambda: step_decay(0.1, 0.5, 2.5), TypeError, "every must be a whole number"),
        (lambda: step_decay(0.1, -1, 2), ValueError, "factor must be above 0"),
        (lambda: restarts(float("nan"), 5), ValueError, "rate has 1 NaN"),
        (lambda: warm_up(0.1, 5), TypeError, "schedule must be a function"),
        (lambda: warm_up(constant(0.1), -1), ValueError, "steps must be at least 0"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
