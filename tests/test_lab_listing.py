"""The lab of chapter 04: its curves are the listing's own loop, its comparisons are scikit-learn's."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from course_lib.labs.listing import ListingLab, compute, mended, run_program, setting, unseen_runs


def split(random_state=42):
    return train_test_split(*load_diabetes(return_X_y=True, scaled=False), test_size=0.2, random_state=random_state)


def listing_loop(learning_rate, num_iterations, scaled, intercept, factor, random_state=42):
    """The loop of the listing, step by step; returns (theta or None, the step of the first theta that is not finite)."""
    X, X_test, y, y_test = split(random_state)
    if scaled:
        scaler = StandardScaler().fit(X)
        X, X_test = scaler.transform(X), scaler.transform(X_test)
    if intercept:
        X, X_test = (np.column_stack([np.ones(len(part)), part]) for part in (X, X_test))
    theta = np.zeros(X.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(1, num_iterations + 1):
            theta = theta - learning_rate * (factor / len(y) * X.T @ (X @ theta - y))
            if not np.isfinite(theta).all():
                return None, step
    return {"test_rmse": np.sqrt(np.mean((X_test @ theta - y_test) ** 2)), "loss": np.mean((X @ theta - y) ** 2)}, None


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("factor", [1, 2])
def test_the_end_of_the_curve_is_the_end_of_the_loop(scaled, intercept, factor):
    rate, steps = (0.03 if scaled else 1e-5), 700
    run = compute(rate, steps, scaled, intercept, factor, random_state=3)
    looped, _ = listing_loop(rate, steps, scaled, intercept, factor, random_state=3)
    assert run["steps"][-1] == steps
    assert run["test_rmse"][-1] == pytest.approx(looped["test_rmse"], rel=1e-9)
    assert run["excess_loss"][-1] + setting(random_state=3).exact_loss == pytest.approx(looped["loss"], rel=1e-9)
    assert run["diverges_at"] is None


@pytest.mark.parametrize("rate, scaled, intercept, factor", [(0.01, False, False, 1), (0.01, False, True, 2), (1.0, True, True, 1), (0.3, True, True, 2)])
def test_divergence_is_foretold_to_the_step(rate, scaled, intercept, factor):
    _, broken = listing_loop(rate, 5_000, scaled, intercept, factor)
    foretold = compute(rate, 10, scaled, intercept, factor)["diverges_at"]
    assert foretold == pytest.approx(broken, rel=0.01, abs=1)  # the order of operations decides about a step or two


def test_the_listing_as_printed_breaks_at_step_108():
    run = compute()
    assert run["diverges_at"] == 108
    assert np.isnan(run["parameter_error"][-1]) and np.isnan(run["test_rmse"][-1])
    assert run["largest_stable_rate"] == pytest.approx(2.7214e-5, rel=1e-4)


def test_parameters_are_compared_with_linear_regression():
    X, X_test, y, y_test = split(5)
    exact = LinearRegression().fit(X, y)
    run = compute(0.1, 100_000, scaled=True, intercept=True, factor=2, random_state=5)
    assert run["exact_test_rmse"] == pytest.approx(np.sqrt(np.mean((exact.predict(X_test) - y_test) ** 2)), rel=1e-10)
    assert run["parameter_error"][-1] < 1e-9
    assert run["mean_test_rmse"] == pytest.approx(np.sqrt(np.mean((y_test - y.mean()) ** 2)), rel=1e-12)
    assert np.allclose(setting(random_state=5).exact, np.append(exact.predict(X.mean(0)[None]), exact.coef_ * X.std(0)))


def test_raw_and_scaled_parameters_count_in_the_same_units():
    raw = setting(scaled=False, intercept=True)
    exact = LinearRegression().fit(raw.X_train[:, 1:], raw.y_train)
    assert np.allclose(np.append(exact.intercept_, exact.coef_) @ raw.per_deviation, raw.exact)


def test_without_an_intercept_the_best_model_is_worse_than_the_mean():
    run = compute(0.1, 100_000, scaled=True, intercept=False)
    assert run["test_rmse"][-1] == pytest.approx(166.55, abs=0.01)
    assert run["test_rmse"][-1] > 2 * run["mean_test_rmse"]


def test_the_better_test_error_has_the_wrong_parameters():
    run = compute(scaled=True, intercept=True)
    assert run["test_rmse"][-1] == pytest.approx(53.7115, abs=1e-4)
    assert run["exact_test_rmse"] == pytest.approx(53.8534, abs=1e-4)
    assert run["parameter_error"][-1] == pytest.approx(37.92, abs=0.01)


def test_rate_times_factor_is_all_that_counts():
    listing, formula = compute(0.1, 500, True, True, factor=1), compute(0.05, 500, True, True, factor=2)
    assert np.allclose(listing["test_rmse"], formula["test_rmse"], rtol=1e-12)
    assert listing["largest_stable_rate"] == pytest.approx(2 * formula["largest_stable_rate"])


def test_unseen_runs_show_what_their_names_say():
    runs = unseen_runs()
    a, b, c = (runs[f"run {name}"]["training_rmse"] for name in "ABC")
    mean = runs["run A"]["mean_training_rmse"]
    assert a.min() < mean < a[-1] and runs["run A"]["learning_rate"] > runs["run A"]["largest_stable_rate"]
    assert b.min() > 2 * mean * 0.95 and b[-20] - b[-1] < 0.01
    assert c[-1] == c.min() < mean and c[-10] - c[-1] > 1


def test_sliders_move_the_curves():
    lab = ListingLab()
    assert "NaN from step 108" in lab.alt
    lab.controls["scaled"].value = lab.controls["intercept"].value = True
    assert "Test RMSE 53.71, exact solution 53.85" in lab.alt
    curve = lab.curves[2].get_data()
    assert np.allclose(curve, (lab.arrays["steps"], lab.arrays["test_rmse"]))
    lab.controls["learning_rate"].value, lab.controls["num_iterations"].value = 0.1, 100_000
    assert "Converged after 100,000 steps" in lab.alt
    assert lab.arrays["steps"][-1] == 100_000 and not np.array_equal(curve[0], lab.curves[2].get_xdata())


def test_every_setting_draws_without_warnings(recwarn):
    lab = ListingLab()
    for rate in (1e-6, 1e-4, 0.5040, 1.0):
        lab.controls["learning_rate"].value = rate
        for name in ("scaled", "intercept"):
            lab.controls[name].value = not lab.controls[name].value
            assert lab.alt.count("largest stable rate") == 1
    assert [str(w.message) for w in recwarn.list if issubclass(w.category, RuntimeWarning)] == []


def test_run_program_keeps_what_matters():
    crash = run_program("print('before')\nimport math\nmath.sqrt(-1)")
    assert (crash.exit_code, crash.printed) == (1, "before") and crash.error.startswith("ValueError: ")
    warned = run_program("import warnings\nwarnings.warn('look here')\nprint(float('nan'))")
    assert (warned.exit_code, warned.printed, warned.error) == (0, "nan", "") and "look here" in warned.warnings[0]
    assert run_program("import sys; sys.exit(3)").exit_code == 3


def test_a_repair_must_fit():
    assert mended("a b", ("a", "c"), ("b", "d")) == "c d"
    with pytest.raises(ValueError, match="stands 2 times"):
        mended("a a", ("a", "b"))
    with pytest.raises(ValueError, match="stands 0 times"):
        mended("a", ("x", "y"))
