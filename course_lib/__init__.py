"""Tested gradient descent, cross-validation and what the lessons of the course stand on.

`import course_lib` loads NumPy only. The two functions of source A are reachable at the top,
`course_lib.gradient_descent` and `course_lib.cross_validation`; everything else by its module.
"""

import importlib

_AT_THE_TOP = {"gradient_descent": "course_lib.descent", "cross_validation": "course_lib.validation"}
_MODULES = ("objectives", "datasets", "schedules", "descent", "validation", "statistics", "training", "evidence", "labs", "classroom")

__all__ = [*_AT_THE_TOP, *_MODULES]


def __getattr__(name):
    if name in _AT_THE_TOP:
        return getattr(importlib.import_module(_AT_THE_TOP[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"course_lib.{name}")
    raise AttributeError(f"module 'course_lib' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
