"""Grouped k-fold: rows of one group (a patient, a house, a day) are never on both sides."""

import numpy as np

from course_lib._inputs import random_numbers
from course_lib.validation._splitter import FoldSplitter, distinct


class GroupKFold(FoldSplitter):
    """Split whole groups into `n_splits` folds. Same indices as scikit-learn's (1.6 and later).

    Without `shuffle` the largest group goes first, always to the fold with the fewest rows so far.
    With `shuffle` the groups are dealt in random order, about as many groups (not rows) to each fold.
    `split` needs `groups`, shape (n,), and raises ValueError for fewer groups than folds.

    >>> for train, test in GroupKFold(2).split([1, 2, 3, 4], groups=["ann", "bob", "ann", "cy"]):
    ...     print(train, test)
    [1 3] [0 2]
    [0 2] [1 3]
    """

    def _test_fold(self, n, y, groups):
        if groups is None:
            raise ValueError("groups must name the group of each row; got None. Use KFold if there are no groups.")
        groups = np.asarray(groups)
        if groups.ndim != 1:
            raise ValueError(f"groups must have shape (n,); got {groups.shape}. Use one name for each row.")
        if groups.dtype.kind == "f" and not np.isfinite(groups).all():
            raise ValueError("groups has NaN or infinite values. Give each of these rows a group of its own.")
        _, group_of_row, sizes = distinct("groups", groups, return_inverse=True, return_counts=True)
        if self.n_splits > len(sizes):
            raise ValueError(f"n_splits={self.n_splits} is more than the {len(sizes)} groups. Use n_splits={len(sizes)} or less.")
        fold_of_group = self._deal(len(sizes)) if self.shuffle else self._balance(sizes)
        return fold_of_group[group_of_row]

    def _balance(self, sizes):
        fold_of_group, rows = np.empty(len(sizes), dtype=int), np.zeros(self.n_splits)
        for group in np.argsort(sizes, kind="stable")[::-1]:
            fold_of_group[group] = lightest = np.argmin(rows)
            rows[lightest] += sizes[group]
        return fold_of_group

    def _deal(self, n_groups):
        fold_of_group = np.empty(n_groups, dtype=int)
        order = random_numbers(self.random_state).permutation(n_groups)
        for fold, members in enumerate(np.array_split(order, self.n_splits)):
            fold_of_group[members] = fold
        return fold_of_group
