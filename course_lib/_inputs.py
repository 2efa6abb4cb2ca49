"""Checks of arguments, shared by every floor: each error names the argument, what it got and what would do."""

import numpy as np


def numeric(name, values, *, ndim=None):
    """Return `values` as a float array, or say what is wrong with them.

    Raises TypeError for values that are not numbers (an object or text dtype),
    ValueError for NaN or infinite values, no values, or another number of axes than `ndim`.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers; got dtype {array.dtype}. Convert it with {name}.astype(float).")
    array = array.astype(float, copy=False)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes; got shape {array.shape}.{_SHAPE_ADVICE.get(ndim, '')}")
    if array.size == 0:
        raise ValueError(f"{name} is empty: shape {array.shape}. Pass at least one value.")
    with np.errstate(over="ignore", invalid="ignore"):
        surely_finite = np.isfinite(array.sum())  # one NaN or inf shows in the sum, at half the cost of looking at each
    if not surely_finite and not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise ValueError(f"{name} has {count} NaN or infinite value(s). Drop or fill them first.")
    return array


_SHAPE_ADVICE = {
    1: " Use .ravel() for a single column.",
    2: " Use .reshape(-1, 1) for a single feature.",
}


def matrix_and_target(X, y):
    """Return X of shape (m, n) and y of shape (m,) or (m, 1) as float arrays that belong together."""
    X, y = numeric("X", X, ndim=2), numeric("y", y)
    if y.ndim > 2 or (y.ndim == 2 and y.shape[1] != 1) or y.ndim == 0:
        raise ValueError(f"y must have shape (m,) or (m, 1); got {y.shape}.")
    if len(X) != len(y):
        raise ValueError(f"X and y must have the same number of rows; got {len(X)} and {len(y)}.")
    return X, y


def positive(name, value, *, example):
    """Return `value` (a number or an array of numbers) as float; raise unless every entry is above zero."""
    array = numeric(name, value)
    if (array <= 0).any():
        raise ValueError(f"{name} must be above 0; got {value!r}. Try {example}.")
    return array if array.ndim else float(array)


def not_negative(name, value, *, example):
    """Return `value` (a number or an array of numbers) as float; raise if any entry is below zero."""
    array = numeric(name, value)
    if (array < 0).any():
        raise ValueError(f"{name} must be 0 or above; got {value!r}. Try {example}.")
    return array if array.ndim else float(array)


def whole(name, value, *, minimum=1):
    """Return `value` as int; raise unless it is a whole number of at least `minimum`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number; got {value!r}. Try {minimum}.")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {value}.")
    return int(value)


def one_of(name, value, allowed):
    """Return `value`; raise unless it is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}.")
    return value


def two_classes(y):
    """Return labels y, shape (m,), as floats 0 and 1; raise unless both classes are there and no other value."""
    y = numeric("y", y, ndim=1)
    values = np.unique(y)
    if len(values) < 2:
        raise ValueError(f"y has one class only ({values[0]:g}). A classifier needs rows of both classes.")
    if not np.array_equal(values, [0, 1]):
        raise ValueError(f"y must hold the labels 0 and 1; got {values[:5].tolist()}. Encode them first.")
    return y
