"""The journal of a run: one line for each finished seed, written at once, so that a stopped run loses nothing.

Each line is one JSON list [key of the case, seed, before, after, seconds], written with one call and forced to the
disk. A line that was cut off by a kill or a full disk is not valid JSON and is left out when reading.
"""

import json
import os
from pathlib import Path


def read(journal):
    """Return {(key, seed): (before, after, seconds)} of all whole lines; a journal that does not exist is empty."""
    found = {}
    lines = Path(journal).read_text("utf-8").split("\n") if Path(journal).exists() else []
    for line in lines:
        try:
            key, seed, *numbers = json.loads(line)
        except ValueError:
            continue
        found[key, seed] = tuple(numbers)
    return found


class Journal:
    """The journal opened to append; a context manager.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "journal.jsonl"
    >>> with Journal(path) as journal:
    ...     journal.write("a1b2", 0, (0.5, 0.25), seconds=0.01)
    >>> read(path)
    {('a1b2', 0): (0.5, 0.25, 0.01)}
    """

    def __init__(self, path):
        self.path = Path(path)

    def __enter__(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(self._file, b"\n")  # ends a line that a kill may have left half written
        return self

    def __exit__(self, *exception):
        os.close(self._file)

    def write(self, key, seed, result, seconds):
        """Append one finished seed and wait until it is on the disk."""
        os.write(self._file, (json.dumps([key, seed, *result, round(seconds, 4)]) + "\n").encode())
        os.fsync(self._file)
