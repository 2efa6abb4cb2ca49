"""A text that the course carries itself, for language models: bytes are its tokens."""

import gzip
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from .._inputs import generator, one_of, whole


@dataclass(frozen=True, eq=False)
class Text:
    """A text as bytes, in two parts that follow each other.

    train, validation : token numbers 0..255, uint8, shape (n_bytes,).
    vocabulary : number of different tokens there can be: 256.
    origin, licence : where the text comes from, and what you may do with it.
    """

    train: np.ndarray
    validation: np.ndarray
    origin: str
    licence: str
    vocabulary: int = 256

    def windows(self, n_windows, length, random_state=None, *, part="train"):
        """Draw windows at random places of a part: (X, y), each (n_windows, length), int64; y is X one byte later.

        At each place of X a model sees the bytes up to there and predicts y, the next one. `random_state` may be a numpy
        Generator, which moves on: one call a batch then gives other windows each time.
        Raises ValueError if the part is not longer than `length`.

        >>> X, y = load_text().windows(32, 64, random_state=0)
        >>> X.shape, bool((X[:, 1:] == y[:, :-1]).all())
        ((32, 64), True)
        """
        tokens = getattr(self, one_of("part", part, ("train", "validation")))
        n_windows, length = whole("n_windows", n_windows), whole("length", length)
        if length >= len(tokens):
            raise ValueError(f"length must be below the {len(tokens):,} bytes of the {part} part; got {length}.")
        starts = generator(random_state).integers(len(tokens) - length, size=n_windows)
        windows = np.lib.stride_tricks.sliding_window_view(tokens, length + 1)[starts].astype(np.int64)
        return windows[:, :-1], windows[:, 1:]

    @staticmethod
    def encode(words):
        """Return the tokens of a str: its UTF-8 bytes, int64."""
        return np.frombuffer(words.encode(), dtype=np.uint8).astype(np.int64)

    @staticmethod
    def decode(tokens):
        """Return the str of tokens; bytes that are no UTF-8 show as �."""
        return np.asarray(tokens).astype(np.uint8).tobytes().decode(errors="replace")

    def __repr__(self):
        return f"Text of {len(self.train):,} bytes to train on and {len(self.validation):,} after them. {self.origin} Licence: {self.licence}."


def load_text():
    """The chapters of Python's language reference that `help("topics")` shows, about 0.4 MB of English and code: a `Text`.

    The last tenth is the validation part: later chapters, not other places of the same ones. Paragraphs that stood in
    several chapters are kept once, so that the validation part is not in the training part. Technical English with
    one vocabulary: a model learns more from it per byte than from mixed text, and knows less of the world.

    Origin: pydoc_data.topics of Python 3.13.0, (c) 2001-2024 Python Software Foundation. Licence: PSF License Version
    2 (files/python_licence.txt). The script that made the file is files/make_python_topics.py.

    >>> text = load_text()
    >>> text.decode(text.train[:22])
    'The "assert" statement'
    """
    file = files("course_lib.datasets") / "files" / "python_topics.txt.gz"
    tokens = np.frombuffer(gzip.decompress(file.read_bytes()), dtype=np.uint8)
    cut = len(tokens) * 9 // 10
    return Text(
        train=tokens[:cut],
        validation=tokens[cut:],
        origin="Help texts of Python 3.13.0 (pydoc_data.topics), Python Software Foundation, 2001-2024.",
        licence="PSF License Version 2",
    )
