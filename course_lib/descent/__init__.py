"""Gradient descent and its family: one loop, `descend`, and the exact path where the objective is quadratic."""

from .closed_form import ClosedFormPath
from .errors import DivergenceError
from .least_squares import gradient_descent
from .loop import descend
from .path import Path

__all__ = ["ClosedFormPath", "DivergenceError", "GDClassifier", "GDRegressor", "Path", "descend", "gradient_descent"]


def __getattr__(name):
    if name in ("GDRegressor", "GDClassifier"):  # they need scikit-learn, which takes a second to import
        from . import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module 'course_lib.descent' has no attribute {name!r}")
