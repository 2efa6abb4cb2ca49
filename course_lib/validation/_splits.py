"""The argument `cv` of every function here: a number of folds, a splitter, or the folds themselves."""

import numpy as np

from course_lib.validation._splitter import FoldSplitter, Splitter, number_of_rows
from course_lib.validation.kfold import KFold
from course_lib.validation.stratified import StratifiedKFold


def splitter(cv, *, classifier=False):
    """Return `cv`, or for a number of folds `KFold(cv)` (for a classifier `StratifiedKFold(cv)`), not shuffled."""
    if isinstance(cv, (int, np.integer)) and not isinstance(cv, bool):
        return (StratifiedKFold if classifier else KFold)(cv)
    if not isinstance(cv, (str, type)) and (hasattr(cv, "split") or hasattr(cv, "__iter__")):
        return cv
    raise TypeError(f"cv must be a number of folds, a splitter such as KFold(5), or pairs (train, test); got {cv!r}.")


def folds(cv, X, y, groups=None, *, classifier=False):
    """Return the list of (train, test) row numbers; raise if there are none or some are not rows of X."""
    cv = splitter(cv, classifier=classifier)
    if isinstance(cv, Splitter):
        return list(cv.split(X, y, groups))  # ours need no check
    pairs = [_pair(pair) for pair in (cv.split(X, y, groups) if hasattr(cv, "split") else cv)]
    n = number_of_rows("X", X)
    for i, (train, test) in enumerate(pairs):
        if min(len(train), len(test)) == 0:
            raise ValueError(f"cv: fold {i} has {len(train)} rows to train and {len(test)} to test. Each side needs at least one.")
        if min(train.min(), test.min()) < 0 or max(train.max(), test.max()) >= n:
            raise ValueError(f"cv: fold {i} names rows outside 0 to {n - 1}. Pass row numbers, not labels.")
    if not pairs:
        raise ValueError("cv gives no folds. Try cv=5.")
    return pairs


def held_out(cv, X, y, groups=None):
    """Return `folds` with None for the training rows where these are all rows but the tested ones."""
    cv = splitter(cv)
    if isinstance(cv, FoldSplitter):
        return [(None, test) for test in cv.tests(X, y, groups)]
    return [(None if _each_row_once(len(X), *pair) else pair[0], pair[1]) for pair in folds(cv, X, y, groups)]


def _each_row_once(n, train, test):
    seen = np.zeros(n, dtype=bool)
    seen[train] = seen[test] = True
    return len(train) + len(test) == n and bool(seen.all())


def _pair(pair):
    try:
        train, test = pair
    except (TypeError, ValueError):
        raise TypeError(f"cv must give pairs (train, test) of row numbers; got {pair!r}. Try cv=5.") from None
    return _rows(train), _rows(test)


def _rows(rows):
    rows = np.asarray(rows)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise TypeError(f"cv must give row numbers; got dtype {rows.dtype}, shape {rows.shape}. Use np.flatnonzero for a mask.")
    return rows
