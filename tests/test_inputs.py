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
