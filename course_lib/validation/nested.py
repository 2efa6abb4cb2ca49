"""Nested cross-validation: choose in the inner folds, judge in the outer ones."""

from dataclasses import dataclass

import numpy as np

from course_lib.validation import _splits
from course_lib.validation.evaluation import CrossValidation, finite, is_classifier, check_task, name_of


@dataclass(frozen=True)
class NestedCrossValidation(CrossValidation):
    """The outer scores (the honest ones), and what was chosen in each outer fold.

    `best_params` is a list of dictionaries, `best_inner_scores` the inner mean score of each choice, shape (n_outer,):
    the best of many noisy numbers, so on average above the truth.
    """

    best_params: list
    best_inner_scores: np.ndarray


def nested_cross_validation(estimator, param_grid, X, y, *, inner=5, outer=5, scoring=None, groups=None, n_jobs=None):
    """Score the whole recipe "try `param_grid`, keep the best" on rows that took no part in the choice.

    Each outer fold runs scikit-learn's `GridSearchCV` (folds `inner`) on its training rows and scores the refitted
    winner on its test rows. `groups` are kept apart in both loops, so that `GroupKFold` can be used in each.
    Other arguments and errors as in `cross_validation`.

    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.datasets import load_diabetes
    >>> result = nested_cross_validation(Ridge(), {"alpha": [0.01, 1.0]}, *load_diabetes(return_X_y=True))
    >>> result.best_params[0], result.scores.shape
    ({'alpha': 0.01}, (5,))
    """
    from sklearn.model_selection import GridSearchCV
    from sklearn.utils.parallel import Parallel, delayed

    scoring = check_task(estimator, X, y, scoring)
    classifier = is_classifier(estimator)
    pairs = _splits.folds(outer, X, y, groups, classifier=classifier)
    if not (isinstance(inner, (int, np.integer)) or hasattr(inner, "split")):
        raise TypeError(f"inner must be a number of folds or a splitter such as KFold(5), to divide each outer fold; got {inner!r}.")
    search = GridSearchCV(estimator, param_grid, cv=_splits.splitter(inner, classifier=classifier), scoring=scoring, error_score="raise")
    results = Parallel(n_jobs=n_jobs)(delayed(_choose_and_score)(search, X, y, groups, *pair) for pair in pairs)
    scores, params, inner_scores = zip(*results, strict=True)
    n_train, n_test = np.mean([(len(train), len(test)) for train, test in pairs], axis=0)
    return NestedCrossValidation(finite(scores), name_of(scoring), float(n_train), float(n_test), list(params), np.array(inner_scores))


def _choose_and_score(search, X, y, groups, train, test):
    from sklearn.base import clone
    from sklearn.utils import _safe_indexing

    search = clone(search)
    grouping = {} if groups is None else {"groups": _safe_indexing(groups, train)}
    search.fit(_safe_indexing(X, train), _safe_indexing(y, train), **grouping)
    return search.score(_safe_indexing(X, test), _safe_indexing(y, test)), search.best_params_, search.best_score_
