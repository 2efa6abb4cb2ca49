"""Chapter 04's two programs: the listing fails as the lesson says, and the repaired one gives the true numbers.

The numbers that the lesson's sentences and the rubric name are held here too.
"""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

from course_lib import datasets
from course_lib.labs.listing import compute, mended, run_program, setting

FOLDER = Path(__file__).resolve().parents[1] / "chapters/04_the_listing_repaired"
LISTING = (FOLDER / "listing.py").read_text("utf-8")
BOSTON = (
    ("sklearn.datasets import load_boston", "course_lib.datasets import load_boston_housing as load_boston"),
    ("housing.data", "housing.X"),
    ("housing.target", "housing.y"),
)
IMPORT = ("import cross_val_score", "import cross_val_score, train_test_split")


def repaired_program():
    spec = importlib.util.spec_from_file_location("repaired", FOLDER / "repaired.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_first_failure_is_the_data():
    run = run_program(LISTING)
    assert run.exit_code == 1 and run.error.startswith("ImportError: `load_boston` has been removed")


def test_second_failure_is_a_name():
    run = run_program(mended(LISTING, *BOSTON))
    assert run.exit_code == 1 and run.error == "NameError: name 'train_test_split' is not defined"


def test_third_failure_is_silent_and_gives_the_sources_numbers():
    run = run_program(mended(LISTING, *BOSTON, IMPORT))
    assert run.exit_code == 0 and run.error == ""
    cv, test = map(float, re.findall(r"\d+\.\d+", run.printed))
    assert cv == pytest.approx(5.316115, abs=1e-6) and test == pytest.approx(4.704598, abs=1e-6)
    assert run.printed.count("nan") == 12
    assert all(warning.startswith("RuntimeWarning") for warning in run.warnings) and run.warnings


def test_repaired_program_gives_the_true_numbers(capsys):
    repaired_program().main()
    printed = capsys.readouterr().out
    cv, test = (float(re.search(label + r"\s+(\d+\.\d+)", printed)[1]) for label in ("cross-validated RMSE", "test RMSE of theta"))
    assert cv == pytest.approx(56.0626, abs=1e-4) and test == pytest.approx(53.8534, abs=1e-4)
    assert float(re.search(r"parameter error (\S+)", printed)[1]) < 1e-5


def test_repaired_descent_is_least_squares_and_never_silent():
    gradient_descent = repaired_program().gradient_descent
    at = setting()
    theta, steps = gradient_descent(at.X_train, at.y_train)
    assert np.allclose(theta, np.linalg.lstsq(at.X_train, at.y_train, rcond=None)[0], atol=1e-5)
    assert steps == pytest.approx(9824, abs=2)
    raw = setting(scaled=False, intercept=False)
    with pytest.raises(FloatingPointError, match="diverged after"):
        gradient_descent(raw.X_train, raw.y_train, learning_rate=0.01)
    with pytest.raises(RuntimeError, match="not converged"):
        gradient_descent(at.X_train, at.y_train, learning_rate=0.01, max_iterations=1000)


def test_every_repair_carries_its_number():
    assert set(re.findall(r"# (\d) ", (FOLDER / "repaired.py").read_text("utf-8"))) == set("12345678")


def test_numbers_in_the_lessons_sentences():
    assert datasets.load_diabetes().X.shape == (442, 10)
    assert setting().y_train.mean() == pytest.approx(150, abs=5)  # "whose true value is about 150"
    assert np.abs(setting().exact[1:]).max() == pytest.approx(45, abs=1)  # "the largest true one is about 45"
    for data, second in ((datasets.load_diabetes(), "s5"), (datasets.load_boston_housing(), "RM")):  # "the second highest correlation"
        correlations = [abs(np.corrcoef(column, data.y)[0, 1]) for column in data.X.T]
        assert data.feature_names[np.argsort(correlations)[-2]] == second


def test_numbers_in_the_rubric():
    rmse = []
    for seed in range(50):
        X_train, X_test, y_train, y_test = train_test_split(*load_diabetes(return_X_y=True, scaled=False), test_size=0.2, random_state=seed)
        rmse.append(np.sqrt(np.mean((LinearRegression().fit(X_train, y_train).predict(X_test) - y_test) ** 2)))
    assert np.std(rmse, ddof=1) == pytest.approx(3, abs=0.1)  # "the spread between splits (standard deviation about 3)"
    runs = [compute(scaled=True, intercept=True, random_state=seed) for seed in range(50)]
    assert 20 <= sum(run["test_rmse"][-1] < run["exact_test_rmse"] for run in runs) <= 30  # "in about half of them"
    assert min(run["parameter_error"][-1] for run in runs) > 10  # lesson: "in every split the parameters are badly wrong"
