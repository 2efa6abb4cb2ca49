"""The labs of chapter 01: every metric against scikit-learn on drawn data, every expectation against a simulation."""

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from course_lib.datasets import make_gaussian_classes
from course_lib.labs.core_concepts import LooksLab, MetricsLab, best_of, judge, reliability, unseen_models, wear


def drawn(prevalence, sharpness, separation, rows=400_000):
    """Labels and the stated probabilities of the model that `judge` is about."""
    data = make_gaussian_classes(rows, separation, prevalence, n_features=1, random_state=0)
    log_odds = data.X @ data.truth["coefficients"] + data.truth["intercept"]
    return data.y, 1 / (1 + np.exp(-sharpness * log_odds)), data.truth["posterior"](data.X)


@pytest.mark.parametrize("threshold, prevalence, sharpness, separation", [
    (0.5, 0.5, 1.0, 2.0), (0.3, 0.1, 2.5, 1.5), (0.8, 0.7, 0.4, 3.0), (0.05, 0.05, 3.0, 1.2),
])  # fmt: skip
def test_each_metric_is_scikit_learns(threshold, prevalence, sharpness, separation):
    exact = judge(threshold, prevalence, sharpness, separation)
    y, stated, true = drawn(prevalence, sharpness, separation)
    said = stated >= threshold
    assert exact["accuracy"] == pytest.approx(metrics.accuracy_score(y, said), abs=0.004)
    assert exact["precision"] == pytest.approx(metrics.precision_score(y, said), abs=0.015)
    assert exact["recall"] == pytest.approx(metrics.recall_score(y, said), abs=0.015)
    assert exact["f1"] == pytest.approx(metrics.f1_score(y, said), abs=0.015)
    assert exact["brier"] == pytest.approx(metrics.brier_score_loss(y, stated), rel=0.02)
    assert exact["auc"] == pytest.approx(metrics.roc_auc_score(y, stated), abs=0.01)
    assert exact["log_loss"] == pytest.approx(metrics.log_loss(y, stated), rel=0.02)
    assert exact["calibration_error"] == pytest.approx(np.abs(stated - true).mean(), abs=0.003)
    assert exact["entropy"] == pytest.approx(metrics.log_loss(y, np.full(len(y), prevalence)), rel=0.02)
    share, mean = calibration_curve(y, stated, n_bins=10, strategy="quantile")
    if len(share) == 10:
        assert np.allclose(exact["stated"], mean, atol=0.01) and np.allclose(exact["true"], share, atol=0.01)


def test_what_moves_and_what_does_not():
    honest, sharp, strict = judge(), judge(sharpness=3), judge(threshold=0.9)
    for name in ("accuracy", "precision", "recall", "f1", "auc"):
        assert sharp[name] == honest[name]  # at threshold 0.5, confidence moves no decision
    assert sharp["log_loss"] > honest["log_loss"] and honest["calibration_error"] == 0 < sharp["calibration_error"]
    for name in ("auc", "log_loss", "brier", "calibration_error"):
        assert strict[name] == honest[name]  # the threshold moves no probability
    assert strict["precision"] > honest["precision"] and strict["recall"] < honest["recall"]


def test_extremes_stay_finite():
    for threshold in (0.02, 0.98):
        for sharpness in (0.15, 6.5):
            values = judge(threshold, 0.01, sharpness, 0.2)
            assert all(np.isfinite(value).all() for value in values.values())
            assert 0 <= values["precision"] <= 1


def test_best_of_many_normal_numbers():
    simulated = np.random.default_rng(0).standard_normal((4000, 300)).max(axis=1).mean()
    assert best_of(np.array([300]))[0] == pytest.approx(simulated, abs=0.03)


@pytest.mark.parametrize("spread", [0.0, 0.02])
def test_wear_against_a_simulation_with_real_test_sets(spread):
    rng = np.random.default_rng(1)
    true = 0.7 + spread * rng.standard_normal((4000, 100))
    scores = rng.binomial(400, np.clip(true, 0, 1)) / 400
    winner = scores.argmax(axis=1)
    at = wear(n_models=100, n_test=400, spread=spread)
    for name, values in (("seen", scores), ("won", true)):
        expected = np.interp(100, at["looks"], at[name])
        assert expected == pytest.approx(values[np.arange(4000), winner].mean(), abs=0.003)
    assert np.interp(100, at["looks"], at["possible"]) == pytest.approx(true.max(axis=1).mean(), abs=0.002)


def test_reliability_of_an_honest_model():
    y, stated, _ = drawn(0.3, 1.0, 2.0)
    said, happened = reliability(stated, y)
    assert said.shape == happened.shape == (10,) and np.allclose(said, happened, atol=0.01)


def test_the_unseen_models_have_the_marks_that_the_lesson_names():
    models = {model["cause"]: model for model in unseen_models().values()}
    accuracy = {cause: np.mean((m["stated"] >= 0.5) == m["y"]) for cause, m in models.items()}
    loss = {cause: metrics.log_loss(m["y"], m["stated"]) for cause, m in models.items()}
    worn, proud, strict = (models[cause] for cause in ("worn validation set", "overconfident", "wrong threshold"))
    assert worn["choice_accuracy"] - accuracy["worn validation set"] > 0.08
    assert abs(proud["choice_accuracy"] - accuracy["overconfident"]) < 0.08 and accuracy["overconfident"] > 0.7
    assert loss["overconfident"] > 1 > 0.693 > loss["wrong threshold"]
    said, happened = reliability(strict["stated"], strict["y"], 5)
    assert np.allclose(said, happened, atol=0.05)
    assert metrics.recall_score(strict["y"], strict["stated"] >= 0.5) < 0.1


def test_sliders_move_what_is_drawn():
    lab = MetricsLab()
    before, picture = lab.arrays["recall"], lab._picture.value
    lab.controls["threshold"].value = 0.8
    assert lab.arrays["recall"] < before and lab._picture.value != picture
    assert f"{lab.arrays['recall']:.2f}" in lab.alt
    assert lab.bars.get_segments()[2][1][0] == pytest.approx(lab.arrays["recall"])
    lab.controls["prevalence"].value = 0.02
    assert "no better than always saying the same" in lab.alt
    lab.controls["sharpness"].value = 5
    assert "worse than stating the share" in lab.alt


def test_a_test_set_wears_out_under_the_slider():
    lab = LooksLab()
    for n_models, n_test in ((1, 50), (1000, 50), (1000, 10_000)):
        lab.controls["n_models"].value, lab.controls["n_test"].value = n_models, n_test
        assert len(lab.cloud.get_xdata()) == n_models
        top = max(lab.arrays["seen"].max(), lab.arrays["scores"].max())
        assert top < 0.95, "the highest dot stays in the picture"
    assert "0.015 of the score is luck" in lab.alt
    lab.controls["spread"].value = 0.04
    assert lab.arrays["won"][-1] > 0.8
