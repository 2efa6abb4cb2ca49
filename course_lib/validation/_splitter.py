"""What all splitters share: the rows of one fold are tested, all other rows train."""

import numpy as np

from course_lib._inputs import whole


class Splitter:
    """What scikit-learn asks of `cv`, but for `split`."""

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of folds; the arguments are there for scikit-learn and are not used."""
        return self.n_splits

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


class FoldSplitter(Splitter):
    """Each row is tested in one fold and trains in all others. A subclass says only which fold a row is tested in."""

    def __init__(self, n_splits=5, *, shuffle=False, random_state=None):
        self.n_splits = whole("n_splits", n_splits, minimum=2)
        if not isinstance(shuffle, (bool, np.bool_)):
            raise TypeError(f"shuffle must be True or False; got {shuffle!r}.")
        if random_state is not None and not shuffle:
            raise ValueError(f"random_state={random_state!r} has no effect without shuffling. Pass shuffle=True too.")
        self.shuffle = shuffle
        self.random_state = random_state

    def split(self, X, y=None, groups=None):
        """Yield (train, test) for each fold: two arrays of row numbers, each in ascending order.

        Raises ValueError or TypeError, before the first fold, for data that cannot be split so.
        """
        tests = self.tests(X, y, groups)
        return ((all_but(test, number_of_rows(X)), test) for test in tests)

    def tests(self, X, y=None, groups=None):
        """Return the test rows of each fold alone, a list of arrays."""
        n = number_of_rows(X)
        if self.n_splits > n:
            raise ValueError(f"n_splits={self.n_splits} is more than the {n} rows of X. Use n_splits={n} or less.")
        for name, column in (("y", y), ("groups", groups)):
            if column is not None and number_of_rows(column) != n:
                raise ValueError(f"{name} must have one entry for each of the {n} rows of X; got {number_of_rows(column)}.")
        test_fold = self._test_fold(n, y, groups)
        return [np.flatnonzero(test_fold == fold) for fold in range(self.n_splits)]

    def _test_fold(self, n, y, groups):
        """Return the number of the fold that each of the n rows is tested in, shape (n,)."""
        raise NotImplementedError


def all_but(test, n):
    """Return the numbers of the n rows that are not in `test`, in ascending order."""
    others = np.ones(n, dtype=bool)
    others[test] = False
    return np.flatnonzero(others)


def number_of_rows(X):
    """Return how many rows an array, table, sparse matrix or list has."""
    shape = getattr(X, "shape", None)
    if shape == () or (shape is None and not hasattr(X, "__len__")):
        raise TypeError(f"Expected an array, a table or a list with one entry for each row; got {X!r}.")
    n = shape[0] if shape else len(X)
    if n == 0:
        raise ValueError("There are no rows to split. Pass at least two.")
    return n


def random_numbers(random_state):
    """Return the `RandomState` that scikit-learn draws from for the same number.

    None gives a fresh one: other folds on each call. A `RandomState` is used as it stands, so it moves on.
    """
    if random_state is None or isinstance(random_state, (int, np.integer)):
        return np.random.RandomState(random_state)
    if isinstance(random_state, np.random.RandomState):
        return random_state
    raise TypeError(f"random_state must be None, a whole number or a numpy RandomState; got {random_state!r}. Try 0.")
