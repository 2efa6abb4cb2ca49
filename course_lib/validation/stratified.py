"""Stratified k-fold: every fold has nearly the same share of each class."""

import warnings

import numpy as np

from course_lib._inputs import random_numbers
from course_lib.validation._splitter import FoldSplitter, distinct


class StratifiedKFold(FoldSplitter):
    """Split the rows into `n_splits` folds with the class shares of y. Same indices as scikit-learn's.

    y holds class labels (numbers or text), shape (n,). Raises ValueError if no class has `n_splits` rows and
    warns if some class has fewer, because it is then missing in some folds.

    >>> for train, test in StratifiedKFold(2).split([1, 2, 3, 4, 5, 6], ["a", "a", "b", "b", "b", "b"]):
    ...     print(train, test)
    [1 4 5] [0 2 3]
    [0 2 3] [1 4 5]
    """

    def _test_fold(self, n, y, groups):
        classes = self._classes(y)
        dealt = np.sort(classes)  # deal the sorted labels like cards: no fold gets two more of a class than another
        count = [np.bincount(dealt[fold :: self.n_splits], minlength=classes.max() + 1) for fold in range(self.n_splits)]
        rng = random_numbers(self.random_state)
        test_fold = np.empty(n, dtype=int)
        for label, rows_per_fold in enumerate(np.transpose(count)):
            folds = np.repeat(np.arange(self.n_splits), rows_per_fold)
            if self.shuffle:
                rng.shuffle(folds)
            test_fold[classes == label] = folds
        return test_fold

    def _classes(self, y):
        """Return the class of each row as 0, 1, ... in order of appearance."""
        labels = class_labels(y)
        _, first, sorted_class = distinct("y", labels, return_index=True, return_inverse=True)
        classes = np.argsort(np.argsort(first))[sorted_class]
        sizes = np.bincount(classes)
        if sizes.max() < self.n_splits:
            raise ValueError(f"n_splits={self.n_splits} is more than the {sizes.max()} rows of the largest class. Use fewer folds.")
        if sizes.min() < self.n_splits:
            message = f"A class of y has only {sizes.min()} rows, fewer than n_splits={self.n_splits}: some folds lack it."
            warnings.warn(message, stacklevel=5)
        return classes


def class_labels(y):
    """Return y as labels of shape (n,); raise unless they are discrete."""
    if y is None:
        raise ValueError("y must hold the class of each row; got None. Use KFold if there are no classes.")
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"y must have shape (n,); got {y.shape}. Use one column of labels.")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("y has NaN or infinite values. Drop these rows first.")
    if y.dtype.kind == "f" and (y != np.round(y)).any():
        raise ValueError("y must hold class labels; got numbers with decimals. Use KFold for regression.")
    return y
