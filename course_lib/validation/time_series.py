"""Time series: train on the past, test on the future, never the other way."""

import numpy as np

from course_lib._inputs import whole
from course_lib.validation._splitter import Splitter, rows_that_agree


class TimeSeriesSplit(Splitter):
    """Test `n_splits` blocks in order; each is predicted from the rows before it. Same indices as scikit-learn's.

    Rows must stand in order of time. `test_size` rows are tested in each fold (default n // (n_splits + 1)),
    `gap` rows before them are left out, and at most `max_train_size` rows train (default: the whole past).

    >>> for train, test in TimeSeriesSplit(2).split([1, 2, 3, 4, 5, 6]):
    ...     print(train, test)
    [0 1] [2 3]
    [0 1 2 3] [4 5]
    """

    def __init__(self, n_splits=5, *, max_train_size=None, test_size=None, gap=0):
        self.n_splits = whole("n_splits", n_splits, minimum=2)
        self.max_train_size = None if max_train_size is None else whole("max_train_size", max_train_size)
        self.test_size = None if test_size is None else whole("test_size", test_size)
        self.gap = whole("gap", gap, minimum=0)

    def split(self, X, y=None, groups=None):
        """Yield (train, test) for each fold, oldest first. Raises ValueError if the rows do not suffice."""
        n = rows_that_agree(X, y, groups)
        if self.n_splits >= n:
            raise ValueError(f"n_splits={self.n_splits} needs at least {self.n_splits + 1} rows; X has {n}.")
        test_size = self.test_size or n // (self.n_splits + 1)
        if n - self.gap - self.n_splits * test_size <= 0:
            raise ValueError(
                f"n_splits={self.n_splits} with test_size={test_size} and gap={self.gap} leaves no row to train the "
                f"first fold: X has {n} rows. Use fewer folds, smaller tests or a smaller gap."
            )
        return self._blocks(n, test_size)

    def _blocks(self, n, test_size):
        for start in range(n - self.n_splits * test_size, n, test_size):
            past = np.arange(start - self.gap)
            train = past if self.max_train_size is None else past[-self.max_train_size :]
            yield train, np.arange(start, start + test_size)
