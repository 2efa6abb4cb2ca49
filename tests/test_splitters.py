"""Splitters: exactly scikit-learn's indices, usable inside scikit-learn, clear errors."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import model_selection as theirs
from sklearn.linear_model import LogisticRegression, Ridge

from course_lib import validation as ours

seeds = st.integers(0, 2**32 - 1)
shuffling = st.one_of(st.just({}), seeds.map(lambda seed: {"shuffle": True, "random_state": seed}))


def assert_same_splits(name, arguments, X, y=None, groups=None):
    """Both libraries give the same folds, or both refuse."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            want = list(getattr(theirs, name)(**arguments).split(X, y, groups))
        except ValueError:
            with pytest.raises(ValueError):
                list(getattr(ours, name)(**arguments).split(X, y, groups))
            return
        splitter = getattr(ours, name)(**arguments)
        got = list(splitter.split(X, y, groups))
    assert len(got) == len(want) == splitter.get_n_splits()
    for (train, test), (their_train, their_test) in zip(got, want, strict=True):
        np.testing.assert_array_equal(train, their_train)
        np.testing.assert_array_equal(test, their_test)


@given(n=st.integers(1, 60), k=st.integers(2, 20), shuffle=shuffling)
def test_k_fold(n, k, shuffle):
    assert_same_splits("KFold", {"n_splits": k, **shuffle}, np.zeros((n, 2)))


@given(labels=st.lists(st.sampled_from(["c", "a", "b"]), min_size=1, max_size=60), k=st.integers(2, 12), shuffle=shuffling)
def test_stratified(labels, k, shuffle):
    assert_same_splits("StratifiedKFold", {"n_splits": k, **shuffle}, np.zeros(len(labels)), labels)


@given(groups=st.lists(st.integers(-3, 9), min_size=1, max_size=60), k=st.integers(2, 12), shuffle=shuffling)
def test_grouped(groups, k, shuffle):
    assert_same_splits("GroupKFold", {"n_splits": k, **shuffle}, np.zeros(len(groups)), None, groups)
    assert_same_splits("GroupKFold", {"n_splits": k, **shuffle}, np.zeros(len(groups)), None, [f"g{g}" for g in groups])


@given(labels=st.lists(st.integers(0, 2), min_size=6, max_size=40), k=st.integers(2, 6), repeats=st.integers(1, 4), seed=seeds)
def test_repeated(labels, k, repeats, seed):
    arguments = {"n_splits": k, "n_repeats": repeats, "random_state": seed}
    assert_same_splits("RepeatedKFold", arguments, np.zeros(len(labels)))
    assert_same_splits("RepeatedStratifiedKFold", arguments, np.zeros(len(labels)), labels)


@given(
    n=st.integers(1, 60),
    k=st.integers(2, 10),
    max_train_size=st.none() | st.integers(1, 20),
    test_size=st.none() | st.integers(1, 10),
    gap=st.integers(0, 10),
)
def test_time_series(n, k, max_train_size, test_size, gap):
    arguments = {"n_splits": k, "max_train_size": max_train_size, "test_size": test_size, "gap": gap}
    assert_same_splits("TimeSeriesSplit", arguments, np.zeros(n))


def test_a_random_state_object_moves_on_as_in_scikit_learn():
    mine, their = np.random.RandomState(3), np.random.RandomState(3)
    for _ in range(2):
        got = [test for _, test in ours.KFold(3, shuffle=True, random_state=mine).split(np.zeros(10))]
        want = [test for _, test in theirs.KFold(3, shuffle=True, random_state=their).split(np.zeros(10))]
        assert all(map(np.array_equal, got, want))


@given(n=st.integers(2, 50), k=st.integers(2, 10), seed=seeds)
def test_every_row_is_tested_once_and_never_trains_its_own_fold(n, k, seed):
    if k > n:
        return
    splits = list(ours.KFold(k, shuffle=True, random_state=seed).split(np.zeros(n)))
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(n))
    assert all(sorted(np.concatenate(split)) == list(range(n)) for split in splits)
    sizes = [len(test) for _, test in splits]
    assert max(sizes) - min(sizes) <= 1


def test_inside_scikit_learn():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=40)
    grid = {"alpha": [0.1, 10.0]}
    mine = theirs.GridSearchCV(Ridge(), grid, cv=ours.KFold(4, shuffle=True, random_state=1)).fit(X, y)
    their = theirs.GridSearchCV(Ridge(), grid, cv=theirs.KFold(4, shuffle=True, random_state=1)).fit(X, y)
    np.testing.assert_array_equal(mine.cv_results_["mean_test_score"], their.cv_results_["mean_test_score"])
    groups = np.arange(40) // 4
    scores = theirs.cross_val_score(LogisticRegression(), X, y > 0, groups=groups, cv=ours.GroupKFold(5))
    assert np.array_equal(scores, theirs.cross_val_score(LogisticRegression(), X, y > 0, groups=groups, cv=theirs.GroupKFold(5)))


def test_repr_shows_the_arguments():
    assert repr(ours.KFold(3)) == "KFold(n_splits=3, shuffle=False, random_state=None)"
    assert repr(ours.RepeatedKFold(n_splits=2, random_state=1)) == "RepeatedKFold(n_splits=2, n_repeats=10, random_state=1)"


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: ours.KFold(1), ValueError, "n_splits must be at least 2; got 1"),
        (lambda: ours.KFold(2.5), TypeError, "n_splits must be a whole number"),
        (lambda: ours.KFold(shuffle="yes"), TypeError, "shuffle must be True or False"),
        (lambda: ours.KFold(random_state=0), ValueError, "Pass shuffle=True"),
        (lambda: ours.KFold(11).split(np.zeros(10)), ValueError, "n_splits=11 is more than the 10 rows"),
        (lambda: ours.KFold(2).split(np.zeros((0, 3))), ValueError, "no rows"),
        (lambda: ours.KFold(2).split(3.0), TypeError, "one entry for each row"),
        (lambda: ours.KFold(2).split(np.zeros(10), np.zeros(9)), ValueError, "y must have one entry for each of the 10 rows"),
        (lambda: ours.KFold(2, shuffle=True, random_state="a").split(np.zeros(4)), TypeError, "random_state must be"),
        (lambda: ours.StratifiedKFold(2).split(np.zeros(4)), ValueError, "y must hold the class"),
        (lambda: ours.StratifiedKFold(2).split(np.zeros(4), [0.5, 1, 2, 3]), ValueError, "decimals"),
        (lambda: ours.StratifiedKFold(2).split(np.zeros(3), [0, 1, np.nan]), ValueError, "NaN"),
        (lambda: ours.StratifiedKFold(3).split(np.zeros(4), [0, 0, 1, 1]), ValueError, "2 rows of the largest class"),
        (lambda: ours.StratifiedKFold(2).split(np.zeros(4), np.zeros((4, 2))), ValueError, "one column"),
        (lambda: ours.GroupKFold(2).split(np.zeros(4)), ValueError, "groups must name the group"),
        (lambda: ours.GroupKFold(3).split(np.zeros(4), groups=[0, 0, 1, 1]), ValueError, "more than the 2 groups"),
        (lambda: ours.GroupKFold(2).split(np.zeros(4), groups=[0, 1, 1, np.nan]), ValueError, "groups has NaN"),
        (lambda: ours.TimeSeriesSplit(5).split(np.zeros(5)), ValueError, "needs at least 6 rows"),
        (lambda: ours.TimeSeriesSplit(3, test_size=3).split(np.zeros(9)), ValueError, "leaves no row to train"),
        (lambda: ours.TimeSeriesSplit(gap=-1), ValueError, "gap must be at least 0"),
        (lambda: ours.RepeatedKFold(n_repeats=0), ValueError, "n_repeats must be at least 1"),
    ],
)
def test_errors_come_before_the_first_fold(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_a_small_class_is_announced():
    with pytest.warns(UserWarning, match="only 1 rows, fewer than n_splits=2"):
        ours.StratifiedKFold(2).split(np.zeros(4), [0, 0, 0, 1])
