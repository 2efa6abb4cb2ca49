"""K-fold: cut the rows into k blocks; each block is tested once."""

import numpy as np

from course_lib._inputs import random_numbers
from course_lib.validation._splitter import FoldSplitter


class KFold(FoldSplitter):
    """Split the rows into `n_splits` folds of nearly equal size (A 8.3.2).

    The rows are divided once. Each fold is tested once, by a model that was trained on all the others.
    The first n % n_splits folds have one row more. Without `shuffle` a fold is a block of neighbouring rows:
    wrong for rows that are sorted by what they measure. Same indices as `sklearn.model_selection.KFold`.

    >>> for train, test in KFold(3).split([10, 20, 30, 40]):
    ...     print(train, test)
    [2 3] [0 1]
    [0 1 3] [2]
    [0 1 2] [3]
    """

    def _test_fold(self, n, y, groups):
        order = np.arange(n)
        if self.shuffle:
            random_numbers(self.random_state).shuffle(order)
        sizes = np.full(self.n_splits, n // self.n_splits)
        sizes[: n % self.n_splits] += 1
        test_fold = np.empty(n, dtype=int)
        test_fold[order] = np.repeat(np.arange(self.n_splits), sizes)
        return test_fold
