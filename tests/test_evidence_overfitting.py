"""The experiments of chapter 05 are what their words say: who overfits, who underfits, and what a remedy changes."""

import numpy as np
import pytest
import torch

from course_lib import evidence
from course_lib.datasets import load_digits
from course_lib.evidence.experiments import overfitting as experiments


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("claim_id", "outcomes"), [
    ("B-8.3.2.1-1", ["holds", "harms", "harms"]),
    ("B-8.3.2.1-2", ["holds", "no effect", "no effect"]),
    ("B-8.3.2.1-3", ["no effect", "no effect", "holds", "holds"]),
    ("B-8.3.2.1-4", ["holds", "harms", "holds", "harms"]),
    ("B-8.3.2.1-5", ["holds", "harms", "harms"]),
    ("B-8.3.2.1-6", ["holds", "no effect", "holds", "harms"]),
    ("B-8.3.2.1-7", ["differs", "holds", "holds"]),
    ("B-8.3.2.1-8", ["no effect", "harms", "no effect", "holds"]),
    ("B-8.3.2.1-9", ["no effect", "harms", "holds", "harms"]),
    ("B-8.3.2.1-10", ["holds", "harms", "holds", "holds", "harms", "holds", "holds", "no effect", "holds", "no effect"]),
    ("B-QA-1", ["holds", "no effect", "no effect", "harms", "holds", "no effect"]),
])  # fmt: skip
def test_outcomes_that_the_lesson_rests_on(claim_id, outcomes):
    assert [effect.outcome for effect in evidence.measured(claim_id).effects] == outcomes


def test_an_underfitting_model_errs_on_both_sides():
    effect = evidence.measured("B-8.3.2.1-3").effects[0]
    assert min(effect.before, effect.after) > 2 * 0.5  # the noise is 0.5


def test_elastic_net_is_measured_on_the_rows_on_which_l1_harms():
    l1, elastic_net = evidence.measured("B-8.3.2.1-5").effects[2], evidence.measured("B-QA-1").effects[4]
    assert l1.before == elastic_net.before and elastic_net.after < l1.before < l1.after


def test_near_copies_are_near_and_matter():
    X, y = experiments.near_copies(0)
    correlation = np.corrcoef(X[:, :20].T)
    assert correlation[:10, :10].min() > 0.8 and abs(correlation[:10, 10:]).max() < 0.1
    assert all(abs(np.corrcoef(X[:, j], y)[0, 1]) > 0.1 for j in range(50))


def test_training_error_falls_where_random_features_grow():
    X, y = load_digits()
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(y))[:200]
    features, targets = np.maximum(X[rows] / 16 @ rng.normal(size=(64, 3000)), 0), np.eye(10)[y[rows]]
    left = [features[:, :k] @ np.linalg.lstsq(features[:, :k], targets)[0] - targets for k in (10, 60, 200, 3000)]
    errors = [np.mean(residuals**2) for residuals in left]
    assert errors[0] > 2 * errors[1] and errors[1] > 5 * errors[2] and errors[3] < 1e-6


def test_least_squares_of_random_features_against_its_definition():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 30)), rng.integers(0, 10, 60)
    weights = np.linalg.pinv(X[:20]) @ np.eye(10)[y[:20]]
    assert experiments.wrong_of_least_squares(X, y, n_train=20) == np.mean((X[20:] @ weights).argmax(1) != y[20:])


def test_few_digits_have_random_labels_in_the_training_part_only():
    X, y, X_new, y_new = experiments.few_digits(3, random_labels=0.4)
    X_true, y_true, _, same = experiments.few_digits(3)
    assert X.shape == (300, 64) and np.array_equal(X, X_true) and np.array_equal(y_new, same)
    assert 0.25 < np.mean(y != y_true) < 0.5  # 40 % drawn anew, one in ten of them as before


def test_networks_of_the_waves_overfit_and_linear_models_underfit():
    own, new = zip(*experiments.plain_and_moved(0, n_hidden=256))
    assert own[0] == 0 and new[0] > 0.4 and own[1] > 0.1  # no own row wrong; the moved copies make them harder
    own, new = zip(*experiments.plain_and_moved(0, n_hidden=0))
    assert own[0] > 0.4 and new[0] > 0.6


def test_a_zero_upside_down_is_a_six():
    X, y, X_new, y_new = experiments.waves(0, n_train=4000)
    model = experiments.network(40, 256, 0)
    experiments.train(model, X, y, 0, batch_size=100)
    turned = experiments.output(model, -X_new[y_new == 0]).argmax(axis=1)
    assert np.mean(turned == 6) > 0.8


def test_moves_go_round_in_a_circle_and_keep_the_labels():
    X, y = torch.arange(40.0).repeat(500, 1), torch.arange(500)
    moved, labels = experiments.move(X, y, torch.Generator().manual_seed(0))
    steps = (X[:, 0] - moved[:, 0] + 20) % 40 - 20
    assert set(steps.int().tolist()) == set(range(-4, 5)) and torch.equal(labels, y)
    assert all(torch.equal(row, X[0].roll(int(k))) for row, k in zip(moved, steps))


def test_the_start_of_a_network_comes_from_its_seed_alone():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    a, b = (experiments.network(4, 3, seed=5) for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters()))
    assert torch.equal(torch.get_rng_state(), state)
