"""Exercises: a check that answers at once, and the sheet that each exercise comes from.

A learner calls `check("02.1")` in a notebook. An author writes, in `solutions/NN_name/exercises.md`,

>>> from course_lib.classroom import visible, expect
>>> @visible("00.1")
... def small_case(student, rng):
...     expect.close(student.double(2.0), 4.0, tried="double(2.0)", hint="multiply by 2")

and `make notebooks` derives the notebooks of learner and instructor from that one file.
"""

from course_lib.classroom import expect, progress
from course_lib.classroom.checks import check, hidden, visible

__all__ = ["check", "expect", "hidden", "progress", "visible"]
