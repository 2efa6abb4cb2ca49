"""The claims of the two sources in our words: `claims.csv`, one row a claim."""

import csv
import functools
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from course_lib.course_map import CHAPTERS

MEASURED, REASON, OPEN = "measured", "reason", "open"


class Row(NamedTuple):
    """One claim. `section` is the source and its section, `chapter` the number of the chapter that treats it.

    status: "measured" (there is an experiment), "reason" (`reason` says why there cannot be one), or "open" (its
    chapter is not written yet).
    """

    id: str
    section: str
    wording: str
    chapter: str
    status: str
    reason: str


@functools.cache
def rows():
    """Return all claims, in the order of the sources, as a tuple of `Row`."""
    text = (files("course_lib.evidence") / "claims.csv").read_text("utf-8")
    return tuple(Row(**line) for line in csv.DictReader(text.splitlines()))


def row(claim_id):
    """Return the `Row` of one claim; KeyError for an id that is not in the table."""
    for one in rows():
        if one.id == claim_id:
            return one
    raise KeyError(f"no claim {claim_id!r} in claims.csv; ids look like 'A-8.3.1-2' or 'B-App-6'.")


def landed(chapters):
    """Return the rows whose lesson stands in the folder `chapters`: each needs an experiment or a reason."""
    there = {chapter.number for chapter in CHAPTERS if (Path(chapters) / chapter.folder / "lesson.md").exists()}
    return [one for one in rows() if one.chapter in there]
