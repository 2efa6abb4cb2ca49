"""Repeated k-fold: the same with other shuffles, to see how much the division itself matters."""

from course_lib._inputs import random_numbers, whole
from course_lib.validation._splitter import Splitter
from course_lib.validation.kfold import KFold
from course_lib.validation.stratified import StratifiedKFold


class RepeatedKFold(Splitter):
    """Shuffle and split `n_repeats` times: n_repeats * n_splits folds. Same indices as scikit-learn's.

    Repeats average out the luck of one division. They are no new data: the interval does not shrink with
    the square root of their number (see `course_lib.statistics.corrected_resampled_ttest`).
    """

    _one_repeat = KFold

    def __init__(self, *, n_splits=5, n_repeats=10, random_state=None):
        self.n_splits = whole("n_splits", n_splits, minimum=2)
        self.n_repeats = whole("n_repeats", n_repeats)
        self.random_state = random_state

    def split(self, X, y=None, groups=None):
        """Yield (train, test) for each fold of each repeat: two arrays of row numbers in ascending order."""
        rng = random_numbers(self.random_state)
        for _ in range(self.n_repeats):
            yield from self._one_repeat(self.n_splits, shuffle=True, random_state=rng).split(X, y, groups)

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of folds of all repeats."""
        return self.n_splits * self.n_repeats


class RepeatedStratifiedKFold(RepeatedKFold):
    """`StratifiedKFold`, shuffled and repeated `n_repeats` times. Same indices as scikit-learn's."""

    _one_repeat = StratifiedKFold
