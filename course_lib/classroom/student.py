"""The learner's functions as a check sees them: plain data goes in, plain data comes out.

A check never holds an object of the learner's, and the learner's code never holds one of the check's.
So the same check can run here, in one process, or in a grader that keeps the learner's code in another one.
"""

import contextlib
import io
import linecache
import traceback
import warnings

import numpy as np


class StudentError(Exception):
    """The learner's code raised, is missing, or gave something that is not plain data.

    `kinds` are the names of the exception's class and its bases, `tried` is the call, `line` the number of the line
    in the learner's cell (None if unknown) and `code` the text of that line.
    """

    def __init__(self, message, *, kinds=(), tried="", line=None, code="", hint=""):
        super().__init__(message)
        self.kinds, self.tried, self.line, self.code, self.hint = tuple(kinds), tried, line, code, hint


class NotPlainData(TypeError):
    """A value that is not made of numbers, strings, booleans, None, lists, tuples, dicts and NumPy arrays."""


class Student:
    """Calls functions of `namespace` by name: `student.gradient(theta, X, y)`.

    Arguments are copied, so that a function that changes its input cannot change the check's data.
    Numbers, strings, booleans, None, lists, tuples, dicts and NumPy arrays cross; anything else raises
    NotPlainData when the check passes it, and StudentError when the learner returns it. What the function
    prints or warns about does not reach the notebook. Every name but `calling` is a function of the learner's.

    >>> Student({"double": lambda x: 2 * x}).double(4)
    8
    """

    def __init__(self, namespace):
        self._namespace = namespace
        self._printed = ""
        self._last_call = ""  # and its answer: for a check that stumbles over the answer's form
        self._last_answer = None

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self.calling(name, *args, **kwargs)[0]

    def calling(self, name, *args, **kwargs):
        """Call function `name`; return its answer and the tuple of arguments as the call left them."""
        args = [plain(value, f"argument {i + 1} of {name}") for i, value in enumerate(args)]
        kwargs = {key: plain(value, f"argument {key} of {name}") for key, value in kwargs.items()}
        self._last_call, self._last_answer = _call(name, args, kwargs), None
        function = self._find(name)
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = function(*args, **kwargs)
        except (Exception, SystemExit) as error:
            raise self._explain(error) from None
        finally:
            self._printed += printed.getvalue()
        try:
            self._last_answer = plain(answer, f"what {name} returned")
            return self._last_answer, tuple(plain(value, f"argument {i + 1} of {name}") for i, value in enumerate(args))
        except NotPlainData as error:
            hint = _how_to_return(answer)
            raise StudentError(str(error), kinds=["NotPlainData"], tried=self._last_call, hint=hint) from None

    def _find(self, name):
        function = self._namespace.get(name, self)
        if function is self:
            problem = f"there is no function {name}"
            hint = "run the cell with your answer first, and keep the function's name"
        elif not callable(function):
            problem = f"{name} is not a function but {_describe(function)}"
            hint = f"define it with def {name}(...):"
        else:
            return function
        raise StudentError(problem, kinds=["Missing"], tried=self._last_call, hint=hint)

    def _explain(self, error):
        """One line for an exception, with the last line of the learner's own code that it passed through."""
        kinds = [cls.__name__ for cls in type(error).__mro__ if cls not in (object, BaseException)]
        message = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
        line, code = None, ""
        for frame, number in traceback.walk_tb(error.__traceback__):
            if frame.f_globals is self._namespace:
                line, code = number, linecache.getline(frame.f_code.co_filename, number).strip()
        return StudentError(message, kinds=kinds, tried=self._last_call, line=line, code=code)


def plain(value, where, depth=0):
    """Return a copy of `value`; raise NotPlainData, naming `where`, if it is not plain data."""
    if value is None or isinstance(value, np.generic):
        return value
    for base in (bool, int, float, complex, str):
        if isinstance(value, base):
            return base(value)
    if type(value) is np.ndarray and not value.dtype.hasobject:
        return value.copy()
    if depth > 20:
        raise NotPlainData(f"{where} is nested more than 20 levels deep, or contains itself")
    if isinstance(value, dict):
        return {plain(k, where, depth + 1): plain(v, where, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        base = list if isinstance(value, list) else tuple
        return base(plain(item, where, depth + 1) for item in value)
    allowed = "numbers, strings, lists, tuples, dicts, NumPy arrays"
    raise NotPlainData(f"{where} is {_describe(value)}, not plain data ({allowed})")


def _call(name, args, kwargs):
    """`gradient(array (3,), array (5, 3), 0.1)`: a call in one line."""
    items = [_brief(value) for value in args] + [f"{key}={_brief(value)}" for key, value in kwargs.items()]
    return f"{name}({', '.join(items)})"


def _brief(value):
    if isinstance(value, np.ndarray):
        return f"array {value.shape}"
    if isinstance(value, (list, tuple, dict)):
        return f"{type(value).__name__} of {len(value)}"
    return f"{value:.6g}" if isinstance(value, float) else repr(value)[:40]


def _describe(value):
    if type(value) is np.ndarray:
        return f"an array of dtype {value.dtype}"
    module = type(value).__module__.split(".")[0]
    name = type(value).__name__
    return f"a {name}" if module == "builtins" else f"a {module} {name}"


def _how_to_return(value):
    if type(value).__module__.startswith(("pandas", "torch")):
        return "return a NumPy array: add .to_numpy() or .numpy()"
    if type(value) is np.ndarray:
        return "return an array of numbers: .astype(float)"
    if isinstance(value, np.ndarray):
        return "return an ordinary array: np.asarray(...)"
    if hasattr(value, "__next__") or isinstance(value, (set, frozenset, range, map, zip)):
        return "return a list: list(...)"
    return "return a number, list, tuple, dict or NumPy array"
