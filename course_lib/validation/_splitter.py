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
        return ((all_but(test, number_of_rows("X", X)), test) for test in tests)

    def tests(self, X, y=None, groups=None):
        """Return the test rows of each fold alone, a list of arrays."""
        n = rows_that_agree(X, y, groups)
        if self.n_splits > n:
            raise ValueError(f"n_splits={self.n_splits} is more than the {n} rows of X. Use n_splits={n} or less.")
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


def number_of_rows(name, values):
    """Return how many rows an array, table, sparse matrix or list has."""
    shape = getattr(values, "shape", None)
    if shape == () or (shape is None and not hasattr(values, "__len__")):
        raise TypeError(f"{name} must be an array, a table or a list with one entry for each row; got {values!r}.")
    n = shape[0] if shape else len(values)
    if n == 0:
        raise ValueError(f"{name} has no rows. Pass at least two.")
    return n


def rows_that_agree(X, y=None, groups=None):
    """Return the number of rows of X; raise if y or groups have another."""
    n = number_of_rows("X", X)
    for name, column in (("y", y), ("groups", groups)):
        if column is not None and number_of_rows(name, column) != n:
            raise ValueError(f"{name} must have one entry for each of the {n} rows of X; got {number_of_rows(name, column)}.")
    return n


def distinct(name, labels, **options):
    """Return `np.unique` of the labels; raise if they cannot be put in order."""
    try:
        return np.unique(labels, **options)
    except TypeError:
        kinds = sorted({type(label).__name__ for label in np.ravel(labels)})
        raise TypeError(f"{name} must hold labels of one kind and no gaps; got {', '.join(kinds)}. Fill or drop the gaps.") from None
