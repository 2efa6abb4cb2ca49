"""Makes python_topics.txt.gz from the help texts that come with Python (3.13.0). Run once; the course reads the result.

    python3.13 make_python_topics.py python_topics.txt.gz

The module pydoc_data.topics holds the chapters of Python's language reference that `help("topics")` shows. They quote
one another, so a paragraph that has come before is left out: otherwise the validation part would hold what the
training part holds. Licence: python_licence.txt, the file LICENSE.txt of that Python.
"""

import gzip
import sys
from pathlib import Path

from pydoc_data.topics import topics

SHORT = 60  # characters; a shorter paragraph ("For example:") may come again


def text():
    """Return all topics in order of their names, each paragraph once."""
    seen, kept = set(), []
    for name in sorted(topics):
        for paragraph in topics[name].strip("\n").split("\n\n"):
            if len(paragraph) < SHORT or paragraph not in seen:
                seen.add(paragraph)
                kept.append(paragraph)
    return "\n\n".join(kept) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(gzip.compress(text().encode(), 9, mtime=0))  # no time stamp: the same bytes every time
