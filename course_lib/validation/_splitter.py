"""What all splitters share: the rows of one fold are tested, all other rows train."""

import numpy as np

from course_lib._inputs import whole


class Splitter:
    """A k-fold splitter. A subclass says only which fold each row is tested in.

    Works wherever scikit-learn asks for `cv`: it has `split` and `get_n_splits`.
    """

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
        n = number_of_rows(X)
        if self.n_splits > n:
            raise ValueError(f"n_splits={self.n_splits} is more than the {n} rows of X. Use n_splits={n} or less.")
        for name, column in (("y", y), ("groups", groups)):
            if column is not None and number_of_rows(column) != n:
                raise ValueError(f"{name} must have one entry for each of the {n} rows of X; got {number_of_rows(column)}.")
        return self._splits(self._test_fold(n, y, groups))

    def _splits(self, test_fold):
        for fold in range(self.n_splits):
            tested = test_fold == fold
            yield np.flatnonzero(~tested), np.flatnonzero(tested)

    def _test_fold(self, n, y, groups):
        """Return the number of the fold that each of the n rows is tested in, shape (n,)."""
        raise NotImplementedError

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of folds; the arguments are there for scikit-learn and are not used."""
        return self.n_splits

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


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
