"""Cross-validation: train on k - 1 folds, score on the one left out, k times (A 8.3.2)."""

from dataclasses import dataclass

import numpy as np

from course_lib._inputs import numeric
from course_lib.statistics import corrected_resampled_ttest
from course_lib.validation import _splits
from course_lib.validation._splitter import distinct, number_of_rows, rows_that_agree


@dataclass(frozen=True)
class CrossValidation:
    """The score of each fold, and what they say together.

    `scores` has shape (n_folds,), higher is better; `n_train` and `n_test` are the mean numbers of rows.
    """

    scores: np.ndarray
    scoring: str
    n_train: float
    n_test: float

    @property
    def mean(self):
        """The estimate: the score of this recipe, trained on `n_train` rows."""
        return float(self.scores.mean())

    @property
    def std(self):
        """Standard deviation of the folds (divided by k - 1): how much one split alone would mislead."""
        self._need_two_folds()
        return float(self.scores.std(ddof=1))

    @property
    def interval(self):
        """(low, high): 95 % for the mean, corrected for the training rows that folds share (Nadeau and Bengio)."""
        self._need_two_folds()
        corrected = corrected_resampled_ttest(self.scores, self.n_train, self.n_test)
        return corrected.low, corrected.high

    def _need_two_folds(self):
        if len(self.scores) < 2:
            raise ValueError("scores has one fold only, and one fold has no spread. Use cv=5.")

    def __str__(self):
        low, high = self.interval
        return (
            f"{self.scoring} in {len(self.scores)} folds: mean {self.mean:.4g}, standard deviation of the folds {self.std:.4g}\n"
            f"95 % interval of the mean: {low:.4g} to {high:.4g}, corrected for training rows that the folds share\n"
            f"It is: how far the mean may lie from the score of this recipe on new data of this kind, trained on {self.n_train:.0f} rows.\n"
            f"It is not: mean ± 2 standard deviations (the spread of single folds of {self.n_test:.0f} rows), nor sd / sqrt(k),\n"
            f"which takes the folds for independent and is too narrow. The correction is a rule of thumb, not a theorem."
        )


def cross_validation(estimator, X, y, *, cv=5, scoring=None, groups=None, n_jobs=None):
    """Score `estimator` on folds that it was not trained on, and return a `CrossValidation`.

    estimator: any scikit-learn estimator or pipeline; it is cloned, never changed. Put every step that learns
    from data (scaling, selection, imputation) into the pipeline, or test rows leak into training.
    X (m, n) and y (m,): arrays, or tables with named columns. cv: number of folds, splitter or (train, test) pairs;
    a number gives folds that are not shuffled, stratified for a classifier.
    scoring: scikit-learn's name of a score or a function (estimator, X, y); by default
    "neg_mean_squared_error", for a classifier "accuracy".
    n_jobs: folds at a time. joblib runs them, so a cluster needs no other code than
    `with joblib.parallel_config(backend="dask"): cross_validation(...)`.

    An exception of the estimator is raised, not turned into NaN. ValueError: X and y of different length, NaN in y,
    one class only, folds that cannot be made, a score that is not finite. TypeError: not an estimator.

    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.datasets import load_diabetes
    >>> result = cross_validation(Ridge(), *load_diabetes(return_X_y=True), cv=10)
    >>> print(f"RMSE {(-result.mean) ** 0.5:.2f}")
    RMSE 58.00
    """
    from sklearn.metrics import check_scoring
    from sklearn.utils.parallel import Parallel, delayed

    scoring = check_task(estimator, X, y, scoring)
    pairs = _splits.folds(cv, X, y, groups, classifier=is_classifier(estimator))
    scorer = check_scoring(estimator, scoring)
    scores = Parallel(n_jobs=n_jobs)(delayed(_score)(estimator, X, y, scorer, *pair) for pair in pairs)
    n_train, n_test = np.mean([(len(train), len(test)) for train, test in pairs], axis=0)
    return CrossValidation(finite(scores), name_of(scoring), float(n_train), float(n_test))


def _score(estimator, X, y, scorer, train, test):
    from sklearn.base import clone
    from sklearn.utils import _safe_indexing

    fitted = clone(estimator).fit(_safe_indexing(X, train), _safe_indexing(y, train))
    return scorer(fitted, _safe_indexing(X, test), _safe_indexing(y, test))


def check_task(estimator, X, y, scoring):
    """Return the scoring to use; raise if estimator, X and y cannot be scored together."""
    if not hasattr(estimator, "fit") or isinstance(estimator, type):
        raise TypeError(f"estimator must be an object with a fit method, such as Ridge(); got {estimator!r}.")
    if scoring is not None and not isinstance(scoring, str) and not callable(scoring):
        raise TypeError(f"scoring must be one name or function; got {scoring!r}. Try 'r2'.")
    number_of_rows("y", y)
    rows_that_agree(X, y)
    labels = np.asarray(y)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError(f"y has {(~np.isfinite(labels)).sum()} NaN or infinite value(s). Drop these rows first.")
    if is_regressor(estimator):
        numeric("y", y)
    elif is_classifier(estimator) and len(distinct("y", labels)) < 2:
        raise ValueError(f"y has one class only ({labels.flat[0]!r}). A classifier needs rows of two or more.")
    return scoring or ("accuracy" if is_classifier(estimator) else "neg_mean_squared_error")


def is_classifier(estimator):
    from sklearn.base import is_classifier

    return is_classifier(estimator)


def is_regressor(estimator):
    from sklearn.base import is_regressor

    return is_regressor(estimator)


def finite(scores):
    scores = np.asarray(scores, dtype=float)
    if not np.isfinite(scores).all():
        bad = np.flatnonzero(~np.isfinite(scores)).tolist()
        raise ValueError(f"The score of fold(s) {bad} is not finite. Does each fold have enough rows, and both classes?")
    return scores


def name_of(scoring):
    return scoring if isinstance(scoring, str) else getattr(scoring, "__name__", repr(scoring))
