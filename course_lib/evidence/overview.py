"""The whole table for README and the index: each claim, its verdict, its effect, its chapter."""

from course_lib.course_map import CHAPTERS
from course_lib.evidence import registry, results, table


def markdown(rows=None, link_to=""):
    """Return claims as a Markdown table. rows : by default all; `landed(folder)` gives those of written chapters.

    link_to : what stands before the folder of a chapter in a link to its lesson; None makes no links.
    """
    measured = {claim_id for one in registry.claims() for claim_id in one.ids}
    lines = ["| claim | in our words | verdict | effect in its own setting | chapter |", "| --- | --- | --- | --- | --- |"]
    for row in table.rows() if rows is None else rows:
        found = results.measured(row.id) if row.id in measured else None
        effect = f"{found.claim.metric}: {change(found.claim, found.effects[0])}" if found else ""
        said = found.verdict if found else (f"not measured: {row.reason}" if row.reason else "not yet measured")
        lines.append(f"| {row.id} | {row.wording} | {said} | {effect} | {_chapter(row, link_to)} |")
    return "\n".join(lines)


def change(claim, effect):
    """Return an effect with its 95 % interval in words: "-3.36 [-3.93, -2.8]", or "× 0.164 [0.136, 0.197]"."""
    sign = "× " if claim.scale == "ratio" else ""
    return f"{sign}{digits(effect.effect)} [{digits(effect.low)}, {digits(effect.high)}]"


def digits(value):
    """Return three digits of a number; what is zero but for rounding is 0.

    >>> digits(0.012345), digits(-1e-17), digits(1234.5)
    ('0.0123', '0', '1.23e+03')
    """
    return f"{0.0 if abs(value) < 1e-8 else value:.3g}"


def _chapter(row, link_to):
    folder = next(chapter.folder for chapter in CHAPTERS if chapter.number == row.chapter)
    return row.chapter if link_to is None or row.status == table.OPEN else f"[{row.chapter}]({link_to}{folder}/lesson.ipynb)"
