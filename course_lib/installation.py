"""Is this machine ready for the course? What the index notebook shows first."""

import os
import platform
from importlib.metadata import PackageNotFoundError, metadata, version
from importlib.util import find_spec
from typing import NamedTuple

import psutil
from packaging.requirements import Requirement


class Line(NamedTuple):
    """One row of the check: `ok` is True, False (mend it) or None (good to know)."""

    ok: bool | None
    what: str
    found: str
    mend: str = ""


def check():
    """Return the rows of the set-up check; nothing is installed or changed."""
    return [_python(), *_packages(), _torch(), _memory(), _cores(), _gpu()]


def markdown(lines=None):
    """The check as a Markdown table with a verdict above it; the mark is a word, so it is read without colour."""
    lines = check() if lines is None else lines
    broken = [line for line in lines if line.ok is False]
    verdict = (f"**{len(broken)} thing(s) to mend before you start.**" if broken
               else "**All set.** Go on to the map below.")
    words = {True: "ok", False: "**mend**", None: "note"}
    rows = [f"| {words[line.ok]} | {line.what} | {line.found} | {line.mend} |" for line in lines]
    return "\n".join([verdict, "", "| | what | found | what to do |", "| --- | --- | --- | --- |", *rows])


def _python():
    needed = metadata("course-lib")["Requires-Python"]
    return Line(True, "Python", f"{platform.python_version()} ({needed} is needed)")


def _packages():
    """A row for each package that is missing or too old, or one row that says all are there."""
    wrong = []
    requirements = [Requirement(line) for line in metadata("course-lib").get_all("Requires-Dist")]
    needed = [r for r in requirements if not r.marker or r.marker.evaluate({"extra": ""})]
    for requirement in needed:
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            found = "missing"
        if found == "missing" or not requirement.specifier.contains(found, prereleases=True):
            wrong.append(Line(False, requirement.name, f"{found} ({requirement.specifier} is needed)",
                              "`make lab` again, or `pip install -c constraints.txt .`"))
    return wrong or [Line(True, "packages", f"all {len(needed)} there, scikit-learn {version('scikit-learn')}")]


def _torch():
    if find_spec("torch") is None:
        return Line(None, "PyTorch", "not installed", "chapters 01-04 do without; `make lab` brings it")
    return Line(True, "PyTorch", version("torch"))


def _memory():
    free = psutil.virtual_memory().available / 2**30
    return Line(free >= 1, "memory", f"{free:.1f} GiB free", "" if free >= 1 else "close other programs: lessons need 1 GiB")


def _cores():
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Line(True, "processor cores", f"{usable}")


def _gpu():
    """Ask PyTorch, in this process, only when it is there: importing it takes a second or two."""
    if find_spec("torch") is None:
        return Line(None, "GPU", "not looked for, PyTorch is missing")
    import torch

    if torch.cuda.is_available():
        return Line(True, "GPU", torch.cuda.get_device_name(0))
    if torch.backends.mps.is_available():
        return Line(True, "GPU", "Apple (mps)")
    return Line(None, "GPU", "none; every lesson runs without one", "have an NVIDIA card? `make lab TORCH=gpu`")
