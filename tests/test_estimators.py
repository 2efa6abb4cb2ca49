import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from course_lib.descent import DivergenceError, GDClassifier, GDRegressor


@parametrize_with_checks([GDRegressor(), GDClassifier()])
def test_scikit_learn_accepts_them_with_no_expected_failure(estimator, check):
    check(estimator)


def test_regressor_equals_the_closed_forms():
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    m = len(y)
    plain = GDRegressor(num_iterations=20_000, tolerance=1e-9).fit(X, y)
    np.testing.assert_allclose(plain.coef_, LinearRegression().fit(X, y).coef_, atol=1e-5)
    ridge = GDRegressor(num_iterations=20_000, penalty="l2", alpha=0.5, tolerance=1e-10).fit(X, y)
    oracle = Ridge(alpha=0.5 * m).fit(X, y)
    np.testing.assert_allclose(ridge.coef_, oracle.coef_, atol=1e-8)
    assert ridge.intercept_ == pytest.approx(oracle.intercept_)
    lasso = GDRegressor(num_iterations=20_000, penalty="l1", alpha=2.0, tolerance=1e-10).fit(X, y)
    oracle = Lasso(alpha=1.0, tol=1e-12).fit(X, y)  # scikit-learn halves the squared error
    np.testing.assert_allclose(lasso.coef_, oracle.coef_, atol=1e-7)
    assert (lasso.coef_ == 0).sum() == (oracle.coef_ == 0).sum() > 0


def test_classifier_equals_scikit_learn_for_two_classes():
    X, y = load_breast_cancer(return_X_y=True)
    X, alpha = StandardScaler().fit_transform(X), 0.01
    ours = GDClassifier(num_iterations=20_000, penalty="l2", alpha=alpha, tolerance=1e-10).fit(X, y)
    oracle = LogisticRegression(C=1 / (2 * alpha * len(y)), tol=1e-12, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(ours.coef_, oracle.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), oracle.predict_proba(X), atol=1e-6)


def test_classifier_takes_three_classes_one_against_the_rest():
    X, y = load_iris(return_X_y=True)
    X, names = StandardScaler().fit_transform(X), np.array(["setosa", "versicolor", "virginica"])[y]
    model = GDClassifier(num_iterations=3000).fit(X, names)
    assert model.coef_.shape == (3, 4) and model.score(X, names) > 0.93
    far = model.predict_proba(1e4 * X)
    assert np.isfinite(far).all()
    np.testing.assert_allclose(far.sum(axis=1), 1)


def test_works_in_a_pipeline_and_a_grid():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    grid = GridSearchCV(make_pipeline(StandardScaler(), GDRegressor(penalty="l2")), {"gdregressor__alpha": [0.001, 0.1, 10]})
    assert grid.fit(X, y).best_score_ > 0.45


def test_minibatches_repeat_with_the_same_seed():
    X, y = load_diabetes(return_X_y=True)
    fit = lambda seed: GDRegressor(0.01, 100, method="plain", batch_size=32, random_state=seed).fit(100 * X, y).coef_
    np.testing.assert_array_equal(fit(1), fit(1))
    assert not np.array_equal(fit(1), fit(2))


def test_says_what_is_wrong():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    with pytest.raises(DivergenceError, match="largest stable rate") as caught:
        GDRegressor(learning_rate=0.01).fit(X, y)
    assert 0 < caught.value.largest_stable_rate < 1e-4
    with pytest.raises(ValueError, match="penalty must be one of"):
        GDRegressor(penalty="l3").fit(X, y)
    with pytest.raises(ValueError, match="one class only"):
        GDClassifier().fit(X, np.zeros(len(X)))
