"""Checks of arguments, shared by every floor: each error names the argument, what it got and what would do."""

import math

import numpy as np


def real(name, values):
    """Return `values` as a float array, NaN and infinite ones too; raise TypeError if they are not numbers."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} has rows of different length. Give every row the same number of values.") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(_not_real(name, values, array))
    return array.astype(float, copy=False)


def _not_real(name, values, array):
    if hasattr(values, "toarray"):
        return f"{name} must be a dense array; got a sparse one. Convert it with {name}.toarray()."
    if array.ndim == 0:
        return f"{name} must hold real numbers; got {values!r}. Pass a number, or an array or list of numbers."
    return f"{name} must hold real numbers; got dtype {array.dtype}. Convert it with {name}.astype(float)."


def numeric(name, values, *, ndim=None, squared=False):
    """Return `values` as a float array, or say what is wrong with them.

    Raises TypeError for values that are not numbers (an object or text dtype), ValueError for NaN or infinite
    values, no values, another number of axes than `ndim`, or, if they will be `squared`, squares beyond any float.
    """
    array = real(name, values)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} must {_AXES[ndim]}; got shape {array.shape}.{_ADVICE[ndim]}")
    if array.size == 0:
        raise ValueError(f"{name} is empty: shape {array.shape}. Pass at least one value.")
    flat = array.ravel(order="K")
    if math.isfinite(np.vdot(flat, flat)):  # one NaN or inf shows in this sum, at a fraction of the cost of looking at each
        return array
    count = int((~np.isfinite(array)).sum())
    if count:
        raise ValueError(f"{name} has {count} NaN or infinite value(s). Drop or fill them first.")
    if squared:
        raise ValueError(f"{name} has values up to {np.abs(array).max():.1e}, whose squares overflow. Use a larger unit.")
    return array


_AXES = {0: "be one number", 1: "have 1 axis", 2: "have 2 axes"}
_ADVICE = {0: "", 1: " Use .ravel() for a single column.", 2: " Use .reshape(-1, 1) for a single feature."}


def matrix_and_target(X, y):
    """Return X of shape (m, n) and y of shape (m,) or (m, 1) as float arrays that belong together."""
    X, y = numeric("X", X, ndim=2, squared=True), numeric("y", y, squared=True)
    if y.ndim > 2 or (y.ndim == 2 and y.shape[1] != 1) or y.ndim == 0:
        raise ValueError(f"y must have shape (m,) or (m, 1); got {y.shape}.")
    if len(X) != len(y):
        raise ValueError(f"X and y must have the same number of rows; got {len(X)} and {len(y)}.")
    return X, y


def positive(name, value, *, example, ndim=None):
    """Return `value` (a number or an array of numbers) as float; raise unless every entry is above zero."""
    array = numeric(name, value, ndim=ndim)
    if array.min() <= 0:
        raise ValueError(f"{name} must be above 0; got {value!r}. Try {example}.")
    return array if array.ndim else float(array)


def not_negative(name, value, *, example, ndim=None):
    """Return `value` (a number or an array of numbers) as float; raise if any entry is below zero."""
    array = numeric(name, value, ndim=ndim)
    if array.min() < 0:
        raise ValueError(f"{name} must be 0 or above; got {value!r}. Try {example}.")
    return array if array.ndim else float(array)


def fraction(name, value, *, example, zero=False):
    """Return `value` as float; raise unless it is a number between 0 and 1 (or 0 itself, where `zero` allows it)."""
    number = float(numeric(name, value, ndim=0))
    if not (0 < number < 1 or (zero and number == 0)):
        raise ValueError(f"{name} must {'be in [0, 1)' if zero else 'lie between 0 and 1'}; got {value!r}. Try {example}.")
    return number


def whole(name, value, *, minimum=1):
    """Return `value` as int; raise unless it is a whole number of at least `minimum`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number; got {value!r}. Try {minimum}.")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {value}.")
    return int(value)


def one_of(name, value, allowed):
    """Return `value`; raise unless it is one of `allowed`, which are texts or None."""
    if not isinstance(value, (str, type(None))) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}.")
    return value


def generator(random_state, name="random_state"):
    """Return the numpy Generator of a seed; a Generator is used as it stands, None gives other draws each time."""
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        message = f"{name} must be None, a whole number from 0 on or a numpy Generator; got {random_state!r}. Try 0."
        raise type(error)(message) from None


def random_numbers(random_state):
    """Return the `RandomState` that scikit-learn draws from for the same number.

    None gives a fresh one: other folds on each call. A `RandomState` is used as it stands, so it moves on.
    """
    if isinstance(random_state, np.random.RandomState):
        return random_state
    if random_state is not None:
        whole("random_state", random_state, minimum=0)
    return np.random.RandomState(random_state)


def two_classes(y):
    """Return labels y, shape (m,), as floats 0 and 1; raise unless both classes are there and no other value."""
    y = numeric("y", y, ndim=1)
    values = np.unique(y)
    if len(values) < 2:
        raise ValueError(f"y has one class only ({values[0]:g}). A classifier needs rows of both classes.")
    if not np.array_equal(values, [0, 1]):
        raise ValueError(f"y must hold the labels 0 and 1; got {values[:5].tolist()}. Encode them first.")
    return y
