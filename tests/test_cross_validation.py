"""cross_validation and nested_cross_validation against scikit-learn, on arrays and tables, on several workers."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, make_classification
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.validation import check_is_fitted

import course_lib
from course_lib.validation import GroupKFold, KFold, RepeatedKFold, TimeSeriesSplit, cross_validation, nested_cross_validation

X, y = load_diabetes(return_X_y=True)
labels = y > np.median(y)


@pytest.mark.parametrize("cv", [5, KFold(4, shuffle=True, random_state=0), RepeatedKFold(n_splits=3, n_repeats=2, random_state=1), TimeSeriesSplit(4)])
def test_same_scores_as_scikit_learn(cv):
    model = make_pipeline(StandardScaler(), Ridge())
    want = cross_val_score(model, X, y, cv=cv, scoring="neg_mean_squared_error")
    np.testing.assert_array_equal(cross_validation(model, X, y, cv=cv).scores, want)


def test_a_classifier_is_stratified_and_scored_by_accuracy():
    result = cross_validation(LogisticRegression(), X, labels)
    np.testing.assert_array_equal(result.scores, cross_val_score(LogisticRegression(), X, labels))
    assert result.scoring == "accuracy"
    text = np.where(labels, "ill", "well")
    np.testing.assert_array_equal(cross_validation(LogisticRegression(), X, text).scores, result.scores)


def test_the_number_of_the_source():
    X_train, _, y_train, _ = train_test_split(*load_diabetes(return_X_y=True, scaled=False), test_size=0.2, random_state=42)
    result = course_lib.cross_validation(LinearRegression(), X_train, y_train, cv=5)
    assert np.sqrt(-result.mean) == pytest.approx(56.062602, abs=5e-7)


def test_scoring_by_name_and_by_function():
    want = cross_val_score(Ridge(), X, y, scoring="neg_mean_absolute_error")
    by_function = make_scorer(mean_absolute_error, greater_is_better=False)
    np.testing.assert_array_equal(cross_validation(Ridge(), X, y, scoring="neg_mean_absolute_error").scores, want)
    np.testing.assert_array_equal(cross_validation(Ridge(), X, y, scoring=by_function).scores, want)
    result = cross_validation(Ridge(), X, y, scoring=lambda model, X, y: -mean_absolute_error(y, model.predict(X)))
    np.testing.assert_array_equal(result.scores, want)


def test_tables_with_text_and_gaps():
    table = pd.DataFrame({"age": X[:, 0], "town": np.where(X[:, 1] > 0, "a", "b")}, index=np.arange(len(X))[::-1])
    table.loc[table.index[::7], "age"] = np.nan
    model = make_pipeline(make_column_transformer((SimpleImputer(), ["age"]), (OneHotEncoder(), ["town"])), Ridge())
    target = pd.Series(y, index=table.index)
    want = cross_val_score(model, table, target, scoring="neg_mean_squared_error")
    np.testing.assert_array_equal(cross_validation(model, table, target).scores, want)


def test_groups_stay_together():
    groups = np.arange(len(y)) % 20
    want = cross_val_score(Ridge(), X, y, groups=groups, cv=GroupKFold(5), scoring="r2")
    np.testing.assert_array_equal(cross_validation(Ridge(), X, y, groups=groups, cv=GroupKFold(5), scoring="r2").scores, want)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_give_the_same_scores(backend):
    alone = cross_validation(Ridge(), X, y)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        np.testing.assert_array_equal(cross_validation(Ridge(), X, y).scores, alone.scores)


def test_any_registered_backend_gets_the_folds():
    """What Dask and other clusters rely on: joblib hands the work to the backend that is named."""
    from joblib._parallel_backends import ThreadingBackend

    submitted = []

    class Cluster(ThreadingBackend):
        def submit(self, func, callback=None):
            submitted.append(func)
            return super().submit(func, callback)

    joblib.register_parallel_backend("a cluster", Cluster)
    with joblib.parallel_config(backend="a cluster", n_jobs=2):
        cross_validation(Ridge(), X, y, cv=6)
    assert sum(map(len, submitted)) == 6


def test_estimator_and_data_stay_as_they_were():
    model, X_before, y_before = Ridge(), X.copy(), y.copy()
    cross_validation(model, X, y)
    with pytest.raises(Exception, match="not fitted"):
        check_is_fitted(model)
    assert np.array_equal(X, X_before) and np.array_equal(y, y_before)


def test_interval_is_the_corrected_one():
    result = cross_validation(Ridge(), X, y, cv=10)
    half = 2.2621571627 * np.sqrt(1 / 10 + result.n_test / result.n_train) * result.scores.std(ddof=1)
    np.testing.assert_allclose(result.interval, [result.mean - half, result.mean + half])
    assert result.n_train + result.n_test == pytest.approx(len(y))
    assert "It is not" in str(result) and f"{result.mean:.4g}" in str(result)


def test_selection_outside_the_folds_leaks_and_inside_does_not():
    """Pure noise, 1,000 columns: the truth is 0.5 (A-8.3.2-5)."""
    rng = np.random.default_rng(0)
    noise, coin = rng.normal(size=(100, 1000)), np.arange(100) % 2
    selected = SelectKBest(k=20).fit_transform(noise, coin)
    assert cross_validation(LogisticRegression(), selected, coin).mean > 0.75
    assert 0.35 < cross_validation(make_pipeline(SelectKBest(k=20), LogisticRegression()), noise, coin).mean < 0.65


def test_nested_equals_the_loop_written_out():
    grid = {"alpha": [1e-3, 1e-1, 10.0]}
    result = nested_cross_validation(Ridge(), grid, X, y, inner=3, outer=4, scoring="r2")
    for i, (train, test) in enumerate(KFold(4).split(X)):
        search = GridSearchCV(clone(Ridge()), grid, cv=KFold(3), scoring="r2").fit(X[train], y[train])
        assert result.scores[i] == search.score(X[test], y[test])
        assert result.best_params[i] == search.best_params_
        assert result.best_inner_scores[i] == search.best_score_


def test_nested_keeps_groups_apart_in_both_loops():
    groups = np.repeat(np.arange(26), 17)
    result = nested_cross_validation(Ridge(), {"alpha": [1.0, 2.0]}, X, y, inner=GroupKFold(3), outer=GroupKFold(4), groups=groups)
    assert len(result.scores) == 4


def test_nested_is_below_the_best_inner_score_on_noise():
    optimism = []
    for seed in range(8):
        noise, coin = make_classification(40, 10, n_informative=2, flip_y=1.0, random_state=seed)
        result = nested_cross_validation(LogisticRegression(), {"C": np.logspace(-3, 3, 7)}, noise, coin, inner=3, outer=4)
        optimism.append(result.best_inner_scores.mean() - result.mean)
    assert np.mean(optimism) > 0


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: cross_validation(Ridge, X, y), TypeError, "estimator must be an object"),
        (lambda: cross_validation("ridge", X, y), TypeError, "estimator must be an object"),
        (lambda: cross_validation(Ridge(), X, y[:-1]), ValueError, "y must have one entry for each of the 442 rows of X; got 441"),
        (lambda: cross_validation(Ridge(), X, np.where(y > 300, np.nan, y)), ValueError, "y has .* NaN"),
        (lambda: cross_validation(Ridge(), np.full_like(X, np.nan), y), ValueError, "X contains NaN"),
        (lambda: cross_validation(Ridge(), X[:0], y[:0]), ValueError, "no rows"),
        (lambda: cross_validation(LogisticRegression(), X, np.zeros(442)), ValueError, "one class only"),
        (lambda: cross_validation(Ridge(), X, y, cv=443), ValueError, "n_splits=443 is more than the 442 rows"),
        (lambda: cross_validation(Ridge(), X, y, cv="five"), TypeError, "cv must be"),
        (lambda: cross_validation(Ridge(), X, y, cv=[]), ValueError, "no folds"),
        (lambda: cross_validation(Ridge(), X, y, cv=[([0, 1], [442])]), ValueError, "rows outside 0 to 441"),
        (lambda: cross_validation(Ridge(), X, y, cv=[([0, 1], [])]), ValueError, "0 to test"),
        (lambda: cross_validation(Ridge(), X, y, cv=[(y > 100, y <= 100)]), TypeError, "np.flatnonzero for a mask"),
        (lambda: cross_validation(Ridge(), X, y, cv=GroupKFold(3)), ValueError, "groups must name"),
        (lambda: cross_validation(Ridge(), X, y, scoring="rmse"), ValueError, "rmse"),
        (lambda: cross_validation(Ridge(), X, y, scoring=lambda m, X, y: np.nan), ValueError, "not finite"),
    ],
)
def test_clear_errors(call, error, says):
    with pytest.raises(error, match=says):
        call()
