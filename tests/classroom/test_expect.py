"""What a learner reads when an answer is not as expected."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from course_lib.classroom import expect
from course_lib.classroom.student import Student, StudentError


def verdict(call, *args, **kwargs):
    """The Unexpected that `call` raises."""
    with pytest.raises(expect.Unexpected) as caught:
        call(*args, tried="a case", hint="the author's hint", **kwargs)
    return caught.value


CLOSE = [
    # got, want, in the line `got`, in the hint
    (None, 3.0, "None", "return"),
    ("abc", 3.0, "type str", "return numbers"),
    (True, 1.0, "type bool", "return numbers"),
    ([[1.0], [1.0, 2.0]], np.ones((2, 2)), "different lengths", "same length"),
    (np.ones((3, 3)), np.ones(3), "(3, 3)", "were arrays of shapes (m,) and (m, 1) mixed?"),
    (np.ones((2, 5)), np.ones(2), "(2, 5)", "were arrays of shapes (m,) and (m, 1) mixed?"),
    (np.ones((3, 1)), np.ones(3), "(3, 1)", ".ravel()"),
    (np.ones(3), np.ones((3, 1)), "(3,)", ".reshape(-1, 1)"),
    (np.ones(3), 1.0, "(3,)", "sum or a mean missing"),
    (1.0, np.ones(3), "1", "too many"),
    (np.ones((2, 3)), np.ones((3, 2)), "(2, 3)", ".T"),
    (np.ones(4), np.ones(3), "(4,)", "the author's hint"),
    ([1.0, np.nan, np.inf], np.ones(3), "2 of 3 values NaN or infinite", "the author's hint"),
    (np.nan, 1.0, "nan", "the author's hint"),
    (np.array([1, 2]), [1.5, 2.5], "[1 2]", "np.zeros"),
    ([2.0, 4.0], [1.0, 2.0], "2 times the expected", "the author's hint"),
    (-5.0, 5.0, "wrong sign", "the author's hint"),
    ([-1.0, -2.0], [1.0, 2.0], "wrong sign", "the author's hint"),
    ([1.5, 2.5, 3.5], [1.0, 2.0, 3.0], "0.5 too large", "the author's hint"),
    ([2.0, 3.0, 1.0], [1.0, 2.0, 3.0], "another order", "the author's hint"),
    (1.0000021, 1.0, "differs by 2.1e-06", "the author's hint"),
    (np.arange(20.0) ** 2, np.arange(20.0), "18 of 20 values differ; at [19] 361 instead of 19", "the author's hint"),
    (1e308 * np.ones(3), -1e308 * np.ones(3), "wrong sign", "the author's hint"),
    (np.arange(4, dtype=np.uint8), np.arange(4) - 7.0, "7 too large", "the author's hint"),
]


@pytest.mark.parametrize("got, want, in_got, in_hint", CLOSE)
def test_close_names_the_mistake(got, want, in_got, in_hint):
    said = verdict(expect.close, got, want)
    assert in_got in said.got and in_hint in said.hint and said.tried == "a case"


@pytest.mark.parametrize(
    "got, want",
    [
        (1, 1.0),
        ([1, 2], np.array([1.0, 2.0])),
        (np.float32(0.1), 0.1),
        (np.nan, np.nan),
        ([np.inf], [np.inf]),
        (np.array(2.0), 2),
    ],
)
def test_close_accepts(got, want):
    expect.close(got, want, tried="", hint="", rtol=1e-6)


shapes = array_shapes(max_dims=2, max_side=5)
numbers = arrays(float, shapes, elements=st.floats(-1e6, 1e6))


@given(numbers)
def test_close_accepts_itself_and_rejects_any_visible_change(values):
    expect.close(values, values, tried="", hint="")
    changed = values.copy()
    changed.flat[0] += 1e-3 * (1 + abs(changed.flat[0]))
    verdict(expect.close, changed, values)


anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.complex_numbers(),
        arrays(st.sampled_from([float, int, bool]), array_shapes()),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3), st.tuples(inner, inner)
    ),
    max_leaves=8,
)


@given(anything, numbers)
def test_close_says_something_short_about_any_answer(got, want):
    try:
        expect.close(got, want, tried="a case", hint="a hint")
    except expect.Unexpected as said:
        assert said.got and said.hint and len(said.got) < 250 and "\n" not in said.got + said.expected


@given(anything, anything)
def test_equal_says_something_short_about_any_answer(got, want):
    try:
        expect.equal(got, want, tried="a case", hint="a hint")
    except expect.Unexpected as said:
        assert len(said.got) <= 90 and len(said.expected) <= 90 and "\n" not in said.got + said.expected


@pytest.mark.parametrize(
    "got, want",
    [
        (3, 4),
        ("a", "b"),
        ([1, 2], [2, 1]),
        ([1, 2], [1, 2, 3]),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        (None, 0),
        ([[0, 1]], [[0], [1]]),
        (np.arange(3), np.arange(4)),
        ("1", 1),
        (5, [5]),
    ],
)
def test_equal_rejects(got, want):
    said = verdict(expect.equal, got, want)
    assert said.got != said.expected


@pytest.mark.parametrize(
    "got, want",
    [
        (np.int64(3), 3),
        ((1, 2), [1, 2]),
        ([np.array([0, 1])], [[0, 1]]),
        (np.array(["a"]), ["a"]),
        ({"a": np.arange(2)}, {"a": [0, 1]}),
    ],
)
def test_equal_accepts(got, want):
    expect.equal(got, want, tried="", hint="")


@pytest.mark.parametrize(
    "got, want, line",
    [
        ([*range(39), 0], list(range(40)), ("at [39]: 0", "at [39]: 39")),
        (np.arange(39), np.arange(40), ("number of entries: 39", "number of entries: 40")),
        ({"a" * 60: 1}, {"a" * 60: "1"}, (f"at ['{'a' * 60}']: 1", f"at ['{'a' * 60}']: '1'")),
    ],
)
def test_equal_says_where_long_answers_begin_to_differ(got, want, line):
    said = verdict(expect.equal, got, want)
    assert (said.got, said.expected) == line


def test_that():
    expect.that(True, tried="", got=1, expected=1, hint="")
    with pytest.raises(expect.Unexpected) as caught:
        expect.that(np.array([True, False]), tried="order", got=[3, 1], expected="rising", hint="sort")
    assert (caught.value.got, caught.value.expected) == ("[3, 1]", "rising")


def failing(error):
    def f():
        raise error

    return Student({"f": f})


def test_raises_accepts_the_class_or_a_base():
    for name in ("ZeroDivisionError", "ArithmeticError"):
        expect.raises(failing(ZeroDivisionError("x")).f, name, tried="", hint="")


def test_raises_names_another_error_or_the_answer():
    assert "KeyError" in verdict(expect.raises, failing(KeyError("k")).f, "ValueError").got
    assert "the answer 7" in verdict(expect.raises, Student({"f": lambda: 7}).f, "ValueError").got


def test_raises_lets_an_unwritten_answer_through():
    with pytest.raises(StudentError):
        expect.raises(failing(NotImplementedError()).f, "ValueError", tried="", hint="")
    with pytest.raises(StudentError):
        expect.raises(Student({}).f, "ValueError", tried="", hint="")
