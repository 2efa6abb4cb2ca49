"""Errors about arguments: they name the argument, what it got and what would do."""

import numpy as np
import pytest

from course_lib import _inputs


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_found(bad):
    X = np.ones((50, 3))
    X[31, 2] = bad
    with pytest.raises(ValueError, match="X has 1 NaN or infinite"):
        _inputs.numeric("X", X)


def test_infinities_of_both_signs_do_not_cancel():
    with pytest.raises(ValueError, match="2 NaN or infinite"):
        _inputs.numeric("X", [np.inf, -np.inf])


def test_finite_values_whose_sum_overflows_pass():
    assert _inputs.numeric("X", [1.7e308, 1.7e308]).size == 2


@pytest.mark.parametrize("bad, error, said", [
    (["a", "b"], TypeError, "real numbers"),
    (np.array([1, None], dtype=object), TypeError, "object"),
    ([1 + 2j], TypeError, "complex"),
    ([], ValueError, "empty"),
])  # fmt: skip
def test_what_is_no_table_of_numbers(bad, error, said):
    with pytest.raises(error, match=f"y .*{said}"):
        _inputs.numeric("y", bad)


@pytest.mark.parametrize("X, y, said", [
    ([1.0, 2.0], [1.0, 2.0], r"X must have 2 axes; got shape \(2,\).*reshape\(-1, 1\)"),
    ([[1.0], [2.0]], [1.0], "same number of rows; got 2 and 1"),
    ([[1.0], [2.0]], [[1.0, 2.0], [3.0, 4.0]], r"y must have shape \(m,\) or \(m, 1\)"),
    ([[1.0]], 1.0, "y must have shape"),
])  # fmt: skip
def test_tables_that_do_not_fit(X, y, said):
    with pytest.raises(ValueError, match=said):
        _inputs.matrix_and_target(X, y)


@pytest.mark.parametrize("check, value, error", [
    (lambda v: _inputs.positive("rate", v, example="0.1"), 0, ValueError),
    (lambda v: _inputs.positive("rate", v, example="0.1"), [0.1, -1], ValueError),
    (lambda v: _inputs.not_negative("rate", v, example="0.1"), -1e-9, ValueError),
    (lambda v: _inputs.whole("rate", v), 2.0, TypeError),
    (lambda v: _inputs.whole("rate", v), True, TypeError),
    (lambda v: _inputs.whole("rate", v), 0, ValueError),
    (lambda v: _inputs.one_of("rate", v, ("a", "b")), "c", ValueError),
    (lambda v: _inputs.two_classes(np.asarray(v)), [1, 1], ValueError),
    (lambda v: _inputs.two_classes(np.asarray(v)), [1, 2], ValueError),
])  # fmt: skip
def test_numbers_out_of_range(check, value, error):
    with pytest.raises(error, match="rate|y "):
        check(value)


def test_good_values_come_back_as_numbers():
    assert _inputs.positive("rate", 1, example="0.1") == 1.0 and type(_inputs.positive("rate", 1, example="")) is float
    assert _inputs.whole("n", np.int64(3)) == 3 and type(_inputs.whole("n", np.int64(3))) is int
    assert _inputs.two_classes([0, 1, 1]).tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("bad, error, said", [
    (None, TypeError, "got None. Pass a number"),
    ("fast", TypeError, "got 'fast'. Pass a number"),
    ([0.1, 0.2], ValueError, "be one number; got shape"),
    ([[1, 2], [3]], ValueError, "rows of different length"),
])  # fmt: skip
def test_what_is_no_number(bad, error, said):
    with pytest.raises(error, match=f"learning_rate .*{said}"):
        _inputs.positive("learning_rate", bad, example="0.1", ndim=0)


def test_a_sparse_table_is_named_as_such():
    sparse = pytest.importorskip("scipy.sparse").csr_array(np.eye(3))
    with pytest.raises(TypeError, match=r"X must be a dense array.*X.toarray\(\)"):
        _inputs.numeric("X", sparse, ndim=2)


@pytest.mark.filterwarnings("error")
def test_data_whose_squares_overflow_are_refused_and_large_parameters_pass():
    with pytest.raises(ValueError, match="X has values up to 1.0e[+]200, whose squares overflow"):
        _inputs.matrix_and_target(np.full((3, 1), 1e200), np.ones(3))
    assert _inputs.numeric("alphas", [1e200])[0] == 1e200


@pytest.mark.parametrize("bad", [-0.1, 1.0, np.nan, "a", None, [0.5, 0.6]])
def test_a_share_is_one_number_below_one(bad):
    with pytest.raises((TypeError, ValueError), match="momentum (must|has)"):
        _inputs.fraction("momentum", bad, example=0.9, zero=True)


@pytest.mark.parametrize("bad", ["a", -1, 1.5])
@pytest.mark.parametrize("made", [_inputs.generator, _inputs.random_numbers])
def test_a_seed_that_is_none_is_named(made, bad):
    with pytest.raises((TypeError, ValueError), match="random_state must be"):
        made(bad)


X, Y = np.eye(4), np.array([0.0, 1.0, 0.0, 1.0])


def _calls_with_a_bad_argument():
    """Yield (argument, call): each raised an error that named no argument, or none at all, before it was checked."""
    from course_lib import datasets, descent, objectives, statistics, validation

    J, network = objectives.MeanSquaredError(X, Y), objectives.TwoLayerNetwork(X, Y, 2)
    path = descent.ClosedFormPath(J)
    yield "theta", lambda: J.value(["a"] * 4)
    yield "theta", lambda: J.gradient(np.zeros(4, dtype=object))
    yield "rows", lambda: J.batch([])
    yield "rows", lambda: J.batch([4])
    yield "X", lambda: network.predict(np.zeros(network.n_parameters), np.ones((2, 3)))
    yield "X", lambda: network.predict(np.zeros(network.n_parameters), np.full((2, 4), np.nan))
    yield "rng", lambda: network.initial("a")
    yield "alpha", lambda: objectives.L1(np.ones((2, 2)))
    yield "z", lambda: objectives.sigmoid(None)
    yield "z", lambda: objectives.cross_entropy(1.0, "a")
    yield "learning_rate", lambda: descent.gradient_descent(X, Y, [0.1, 0.2])
    yield "learning_rate", lambda: descent.descend(J, np.zeros(4), lambda step: np.ones((2, 2)))
    yield "learning_rate", lambda: descent.descend(J, np.zeros(4), lambda step: "a")
    yield "objective", lambda: descent.descend(objectives.MeanSquaredError, np.zeros(4))
    yield "objective", lambda: descent.ClosedFormPath(objectives.MeanSquaredError)
    yield "method", lambda: descent.descend(J, np.zeros(4), method=["plain"])
    yield "momentum", lambda: descent.descend(J, np.zeros(4), momentum="a")
    yield "momentum", lambda: path.losses(3, 0.1, momentum=[0.5])
    yield "random_state", lambda: descent.descend(J, np.zeros(4), batch_size=2, random_state="a")
    yield "start", lambda: path.theta(3, 0.1, start=np.zeros(2))
    yield "learning_rate", lambda: descent.GDRegressor(learning_rate=[0.1, 0.2]).fit(X, Y)
    yield "alpha", lambda: descent.GDRegressor(alpha=-1).fit(X, Y)
    yield "alpha", lambda: descent.GDClassifier(penalty="l2", alpha=[0.1, 0.2]).fit(X, Y)
    yield "X and y", lambda: descent.GDRegressor().fit(X, Y[:3])
    yield "confidence", lambda: statistics.mean_interval(Y, "a")
    yield "n_train", lambda: statistics.corrected_resampled_ttest(Y, [3, 3], 1)
    yield "sd", lambda: statistics.seeds_needed(1, [1, 2])
    yield "statistic", lambda: statistics.bootstrap_interval(Y, "mean", random_state=0)
    yield "statistic", lambda: statistics.bootstrap_interval(Y, np.cumsum, random_state=0)
    yield "statistic", lambda: statistics.bootstrap_interval(Y, lambda v: np.nan, random_state=0)
    yield "noise", lambda: datasets.make_polynomial(noise=[0.1, 0.2])
    yield "start", lambda: datasets.make_random_walk(start=np.nan)
    yield "random_state", lambda: datasets.make_mnist1d(random_state="a")
    yield "X", lambda: list(validation.KFold(2).split(None))
    yield "y", lambda: list(validation.TimeSeriesSplit(2).split(X, Y[:2]))
    yield "groups", lambda: list(validation.RepeatedKFold(n_splits=2).split(X, Y, [1, 2]))
    yield "groups", lambda: list(validation.GroupKFold(2).split(X, Y, [None, "a", None, "b"]))
    yield "y", lambda: list(validation.StratifiedKFold(2).split(X, np.array([None, "a", None, "a"])))
    yield "cv", lambda: validation.ridge_path(X, Y, [1.0], cv=validation.KFold)
    yield "cv", lambda: validation.ridge_path(X, Y, [1.0], cv=[1, 2])
    yield "Cs", lambda: validation.logistic_path(X, Y, np.ones((2, 2)), cv=2)


@pytest.mark.parametrize("argument, call", [pytest.param(*case, id=f"{i} {case[0]}") for i, case in enumerate(_calls_with_a_bad_argument())])
def test_every_bad_argument_is_named(argument, call):
    with pytest.raises((TypeError, ValueError), match=f"^{argument} "):
        call()


@pytest.mark.parametrize("argument, change", [
    ("scoring", {"scoring": ["r2", "max_error"]}),
    ("y", {"y": Y.astype(str)}),
    ("inner", {"inner": [([0, 1], [2])]}),
])  # fmt: skip
def test_what_cross_validation_cannot_use_is_named(argument, change):
    from sklearn.linear_model import Ridge

    from course_lib.validation import nested_cross_validation

    arguments = {"X": X, "y": Y, "inner": 2, "outer": 2} | change
    with pytest.raises((TypeError, ValueError), match=f"^{argument} "):
        nested_cross_validation(Ridge(), {"alpha": [1.0]}, **arguments)


def test_one_fold_has_a_score_and_no_spread():
    from sklearn.linear_model import Ridge

    from course_lib.validation import cross_validation

    result = cross_validation(Ridge(), X, Y, cv=[([0, 1, 2], [3])])
    assert result.scores.shape == (1,)
    with pytest.raises(ValueError, match="one fold only"):
        result.interval
