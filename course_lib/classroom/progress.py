"""How far a learner is: one small JSON file outside the course's folder, so that a new clone does not lose it.

The file stands in the user's data folder of the operating system; COURSE_PROGRESS_FILE names another one.
"""

import json
import os
import tempfile
from datetime import date
from pathlib import Path


def path():
    """Where the learner's progress is kept."""
    named = os.environ.get("COURSE_PROGRESS_FILE")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_data_dir("course_lib", appauthor=False)) / "progress.json"


def read():
    """Return ({"02.1": {"points": 3, "passed": "2025-01-31"}}, notes for the learner).

    A file that cannot be read is set aside under the name `progress.json.broken`, and the notes say so.
    """
    try:
        kept = json.loads(path().read_text("utf-8"))
        if isinstance(kept, dict) and all(isinstance(entry, dict) for entry in kept.values()):
            return kept, []
    except FileNotFoundError:
        return {}, []
    except ValueError:  # torn or not JSON: json and utf-8 errors are both ValueErrors
        pass
    broken = path().with_name(path().name + ".broken")
    os.replace(path(), broken)
    return {}, [f"The progress file could not be read. It is kept as {broken.name}; a new one begins now."]


def record(exercise, points):
    """Remember that `exercise` passed; return notes for the learner, usually none.

    Does not raise where it cannot write: a check must answer.
    """
    from filelock import FileLock, Timeout

    try:
        path().parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path()}.lock", timeout=2):  # two notebooks may pass an exercise at the same moment
            kept, notes = read()
            if exercise not in kept:
                _write({**kept, exercise: {"points": points, "passed": date.today().isoformat()}})
        return notes
    except (OSError, Timeout) as error:
        return [f"Your progress could not be kept ({type(error).__name__}): is {path().parent} writable?"]


def _write(kept):
    """Whole or not at all: a crash leaves the old file."""
    handle, part = tempfile.mkstemp(dir=path().parent, prefix=path().name, suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(dict(sorted(kept.items())), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path())


def exercises(folder="."):
    """{chapter: {exercise: points}} that `check` can pass, from the notebooks in `folder`, where the chapters are."""
    found = {}
    for notebook in sorted(Path(folder).glob("*/exercises.ipynb")):
        cells = [cell["metadata"] for cell in json.loads(notebook.read_text("utf-8"))["cells"]]
        verdicts = [cell for cell in cells if cell.get("role") == "check" and cell["nbgrader"]["grade"]]
        found[notebook.parent.name] = {cell["exercise"]: cell["nbgrader"]["points"] for cell in verdicts}
    return found


def markdown(folder="."):
    """The table of chapters, exercises passed and points, as Markdown."""
    kept, notes = read()
    rows = ["| chapter | exercises passed | points |", "| --- | --- | --- |"]
    for chapter, points in exercises(folder).items():
        passed = [exercise for exercise in points if exercise in kept]
        name = chapter.replace("_", " ")
        rows.append(
            f"| [{name}]({chapter}/exercises.ipynb) | {len(passed)} of {len(points)} "
            f"| {sum(points[exercise] for exercise in passed):g} of {sum(points.values()):g} |"
        )
    return "\n".join(rows + ["", *notes])


def table(folder="."):
    """Show how far the learner is; for the index notebook, which stands in the directory of the chapters."""
    from IPython.display import Markdown

    return Markdown(markdown(folder))
