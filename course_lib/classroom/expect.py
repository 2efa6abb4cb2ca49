"""What a check says about an answer: what was tried, what came out, what was expected, and one hint."""

import numpy as np

from course_lib.classroom.student import StudentError


class Unexpected(Exception):
    """An answer is not as expected; carries the four lines that the learner reads."""

    def __init__(self, *, tried, got, expected, hint):
        super().__init__(f"{tried}: got {got}, expected {expected}")
        self.tried, self.got, self.expected, self.hint = tried, got, expected, hint


def that(condition, *, tried, got, expected, hint):
    """Raise Unexpected unless `condition` is true. `got` and `expected` are shown to the learner."""
    if not np.all(condition):
        raise Unexpected(tried=tried, got=show(got), expected=show(expected), hint=hint)


def close(got, want, *, tried, hint, rtol=1e-6, atol=1e-9):
    """Raise Unexpected unless `got` holds the numbers `want` in the same shape, |got - want| <= atol + rtol |want|.

    What is wrong is named where it can be seen: the shape, NaN, a type that is not a number, an integer array
    that cut its values, a wrong sign or a constant factor.
    """
    want = np.asarray(want)

    def unexpected(got, special=None):
        raise Unexpected(tried=tried, got=got, expected=_with_shape(want), hint=special or hint)

    if got is None:
        unexpected("None", "does the function end with return?")
    try:
        array = np.asarray(got)
    except ValueError:
        unexpected(f"rows of different lengths: {show(got)}", "every row must have the same length")
    if array.dtype.kind not in "iufc":
        unexpected(f"{show(got)} ({_kind(got)})", "return numbers")
    if array.shape != want.shape:
        unexpected(_with_shape(array), _shape_hint(array.shape, want.shape))
    if not np.isfinite(array).all() and np.isfinite(want).all():
        bad = int((~np.isfinite(array)).sum())
        unexpected(f"{bad} of {array.size} values NaN or infinite: {show(array)}" if array.ndim else show(array))
    wrong = ~np.isclose(array, want, rtol=rtol, atol=atol, equal_nan=True)
    if wrong.any():
        unexpected(_difference(array, want, wrong), _value_hint(array, want, rtol, atol))


def equal(got, want, *, tried, hint):
    """Raise Unexpected unless `got` is exactly `want`: whole numbers, strings, lists, tuples, dicts, arrays of them."""
    if not _same(got, want):
        raise Unexpected(tried=tried, got=show(got, want), expected=show(want, got), hint="does the function end with return?" if got is None else hint)


def raises(call, name, *, tried, hint):
    """Raise Unexpected unless `call()` raises an exception whose class, or a base of it, is called `name`."""
    try:
        answer = call()
    except StudentError as error:
        if name in error.kinds:
            return
        if "NotImplementedError" in error.kinds or "Missing" in error.kinds:
            raise
        raise Unexpected(tried=tried, got=str(error), expected=f"{name} raised", hint=hint) from None
    raise Unexpected(tried=tried, got=f"no error, and the answer {show(answer)}", expected=f"{name} raised", hint=hint)


# How values are written: one line, short, the same on every machine.

_WIDTH = 90


def show(value, other=None):
    """`value` in one line of at most 90 characters."""
    if isinstance(value, str):
        text = value if other is None else repr(value)
    elif isinstance(value, np.ndarray) and value.ndim:
        text = _numbers(value) if value.size <= 8 else f"{_numbers(value)} with shape {value.shape}"
    elif isinstance(value, (float, np.floating)):
        text = f"{value:.6g}"
    elif isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim):
        text = show(value.item())
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{k!r}: {show(v, '')}" for k, v in value.items()) + "}"
    elif isinstance(value, (list, tuple)):
        items = ", ".join(show(item, "") for item in value[:40])
        text = f"[{items}]" if isinstance(value, list) else f"({items})"
    else:
        text = repr(value)
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _numbers(array):
    with np.printoptions(precision=5, threshold=6, edgeitems=2, linewidth=10_000, suppress=False):
        return " ".join(str(array).split())


def _with_shape(array):
    return show(array) if array.ndim == 0 or array.size > 8 else f"{show(array)} with shape {array.shape}"


def _kind(value):
    return f"dtype {value.dtype}" if isinstance(value, np.ndarray) else f"type {type(value).__name__}"


def _same(got, want):
    if isinstance(want, dict):
        return isinstance(got, dict) and got.keys() == want.keys() and all(_same(got[key], want[key]) for key in want)
    if isinstance(want, np.ndarray) or isinstance(got, np.ndarray):
        return isinstance(got, (np.ndarray, list, tuple)) and np.shape(got) == np.shape(want) and bool(np.all(np.asarray(got) == np.asarray(want)))
    if isinstance(want, (list, tuple)):
        return isinstance(got, (list, tuple)) and len(got) == len(want) and all(map(_same, got, want))
    return bool(got == want)


def _shape_hint(got, want):
    if len(got) == 2 and got[0] == got[1] and got[0] > 1 and got[0] in want and len(want) <= 2 and 1 in (*want, len(want)):
        return f"shape {got} comes from mixing ({got[0]},) with ({got[0]}, 1): NumPy makes a table of all pairs. Give both the same shape"
    if got == want + (1,):
        return "one axis too many: .ravel() makes a flat array"
    if got + (1,) == want:
        return "one axis too few: .reshape(-1, 1) makes a column"
    if want == ():
        return "a single number is expected: is a sum or a mean missing?"
    if got == ():
        return "one number for each entry is expected: is there a sum or a mean too much?"
    if got == want[::-1]:
        return "rows and columns are exchanged: .T"
    return None


def _value_hint(got, want, rtol, atol):
    if got.dtype.kind in "iu" and want.dtype.kind == "f" and np.allclose(got, np.trunc(want)):
        return "an integer array cuts what is written into it: begin with floats, np.zeros(...) or .astype(float)"
    with np.errstate(all="ignore"):
        ratio = np.vdot(want, got) / np.vdot(want, want) if np.any(want) else 0.0
    if ratio and want.size > 1 and np.allclose(got, ratio * want, rtol=max(rtol, 1e-6), atol=atol):
        return None
    return None


def _difference(got, want, wrong):
    if got.ndim == 0:
        return show(got)
    if got.size <= 6:
        return show(got)
    where = np.unravel_index(np.argmax(np.where(wrong, np.abs(got - want), -1)), got.shape)
    place = ", ".join(map(str, where))
    return f"{int(wrong.sum())} of {got.size} values differ, most at [{place}]: {got[where]:.6g} instead of {want[where]:.6g}"
