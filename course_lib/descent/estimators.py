"""Gradient descent as scikit-learn estimators, for pipelines, grids and `clone`. Needs scikit-learn; loaded on use."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from .._inputs import not_negative, one_of, positive, random_numbers
from ..objectives import L1, L2, LogisticLoss, MeanSquaredError, cross_entropy, sigmoid
from .errors import DivergenceError
from .loop import descend


class _GDEstimator(BaseEstimator):
    """What both share. Parameters are those of `descend`, with these of their own:

    learning_rate: a number, a schedule, or None for 1 / L, half the largest stable rate of the data at hand.
    penalty: None, "l1" or "l2"; alpha: its factor, in the source's form, mean loss + alpha R(theta).
    fit_intercept: add an intercept, which the penalty leaves alone.

    Attributes after fit: `n_iter_`, and `paths_`, the list of the `Path` of each descent (one, or one a class).
    Raises DivergenceError where the rate is too large.
    """

    def __init__(self, learning_rate=None, num_iterations=1000, *, method="nesterov", momentum=0.9, penalty=None,
                 alpha=0.0, fit_intercept=True, batch_size=None, tolerance=1e-6, random_state=None):  # fmt: skip
        self.learning_rate = learning_rate
        self.num_iterations = num_iterations
        self.method = method
        self.momentum = momentum
        self.penalty = penalty
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.batch_size = batch_size
        self.tolerance = tolerance
        self.random_state = random_state

    def _descend(self, make_objective, X, targets):
        """Descend once for each target; keep the paths and return coefficients (k, n) and intercepts (k,)."""
        penalty = {None: None, "l1": L1, "l2": L2}[one_of("penalty", self.penalty, (None, "l1", "l2"))]
        alpha = not_negative("alpha", self.alpha, example="0.1", ndim=0)
        if self.learning_rate is not None and not callable(self.learning_rate):
            positive("learning_rate", self.learning_rate, example="0.1", ndim=0)
        seed = random_numbers(self.random_state).randint(2**31)
        self.paths_ = []
        for y in targets:
            objective = make_objective(X, y, penalty=penalty and penalty(alpha), intercept=self.fit_intercept)
            self.paths_.append(self._one_path(objective, seed))
        self.n_iter_ = int(max(path.steps for path in self.paths_))
        thetas = np.stack([path.theta for path in self.paths_])
        return (thetas[:, 1:], thetas[:, 0]) if self.fit_intercept else (thetas, np.zeros(len(thetas)))

    def _one_path(self, objective, seed):
        rate = 1 / max(objective.lipschitz, np.finfo(float).tiny) if self.learning_rate is None else self.learning_rate
        path = descend(
            objective, np.zeros(objective.n_parameters), rate, num_iterations=self.num_iterations, method=self.method,
            momentum=self.momentum, batch_size=self.batch_size, tolerance=self.tolerance, random_state=seed,
        )  # fmt: skip
        if path.diverged:
            raise DivergenceError(int(path.steps) + 1, path.learning_rates[0], float(2 / objective.lipschitz))
        return path


def _checked(estimator, X, y, **options):
    """Return X and y as scikit-learn checks them; of rows that do not agree its own message names no argument."""
    if hasattr(y, "__array__") or hasattr(y, "__len__"):
        rows = _num_samples(X), _num_samples(y)
        if rows[0] != rows[1]:
            raise ValueError(f"X and y must have the same number of rows; got {rows[0]} and {rows[1]}.")
    return validate_data(estimator, X, y, dtype=float, **options)


class GDRegressor(RegressorMixin, _GDEstimator):
    """Linear regression by gradient descent. `coef_` (n,), `intercept_` a number.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> bool(GDRegressor(num_iterations=5000).fit(X, y).score(X, y) > 0.51)
    True
    """

    __doc__ += _GDEstimator.__doc__.partition("\n")[2]

    def fit(self, X, y):
        X, y = _checked(self, X, y, y_numeric=True)
        coefficients, intercepts = self._descend(MeanSquaredError, X, [y])
        self.coef_, self.intercept_ = coefficients[0], float(intercepts[0])
        return self

    def predict(self, X):
        check_is_fitted(self)
        return validate_data(self, X, reset=False, dtype=float) @ self.coef_ + self.intercept_


class GDClassifier(ClassifierMixin, _GDEstimator):
    """Logistic regression by gradient descent; more than two classes one against the rest.

    `classes_`, `coef_` (1, n) or (classes, n), `intercept_` (1,) or (classes,), as scikit-learn has them.
    """

    __doc__ += _GDEstimator.__doc__.partition("\n")[2]

    def fit(self, X, y):
        X, y = _checked(self, X, y)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class only ({self.classes_[0]!r}). A classifier needs rows of two or more classes.")
        positives = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        self.coef_, self.intercept_ = self._descend(LogisticLoss, X, [(y == label).astype(float) for label in positives])
        return self

    def decision_function(self, X):
        """Return the logits, (m,) for two classes, (m, classes) for more."""
        check_is_fitted(self)
        logits = validate_data(self, X, reset=False, dtype=float) @ self.coef_.T + self.intercept_
        return logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X):
        """Return the probability of each class, (m, classes): every row sums to 1."""
        logits = self.decision_function(X)
        if logits.ndim == 1:
            return np.column_stack([sigmoid(-logits), sigmoid(logits)])
        log_p = -cross_entropy(1.0, logits)  # of each class against the rest; scaled so that the largest is not 0
        p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    def predict(self, X):
        logits = self.decision_function(X)
        best = (logits > 0).astype(int) if logits.ndim == 1 else logits.argmax(axis=1)
        return self.classes_[best]
