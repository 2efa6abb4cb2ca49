"""Checkpoints that a crash cannot spoil: a new file takes the old one's name only when it is whole, and two are kept."""

import os
import pathlib
import warnings
import zipfile

import numpy as np
import torch

FORMAT = "course_lib.training checkpoint 1"


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or that belongs to another run."""


class Checkpoints:
    """A folder with `latest.pt` and `previous.pt`.

    Being killed at any moment leaves at least one whole file. A loss of power may tear the newest (nothing waits for
    the disk); the one before is used then, with a warning.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"checkpoint must be a folder; {folder} is a file. Try '{folder}.checkpoints'.")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.latest, self.previous = (self.folder / "latest.pt", self.folder / "previous.pt")

    def save(self, state):
        """Write `state` (tensors, numbers, texts, lists and dicts) and keep the one before it."""
        new = self.folder / "new.pt"
        with open(new, "wb", buffering=2**20) as file:  # torch.save writes many small pieces
            torch.save({"format": FORMAT, **_plain(state)}, file)
        self.previous.unlink(missing_ok=True)  # at each moment from here on, at least one whole file has its name
        if self.latest.exists():
            os.replace(self.latest, self.previous)
        os.replace(new, self.latest)

    def load(self, device="cpu"):
        """Return the newest state that can be read, None in a folder without one.

        A file that is torn or is no checkpoint of this course gets a warning, and the one before is used; if none is
        left, CheckpointError. Only tensors and plain data are read (`weights_only=True`): a file cannot run code.
        """
        wrong = []
        for path in (self.latest, self.previous):
            if path.exists():
                try:
                    state = _read(path, device)
                except CheckpointError as error:
                    wrong.append(str(error))
                    continue
                for message in wrong:
                    warnings.warn(f"{message} Going on from {path.name}, the one before.", stacklevel=3)
                return state
        if wrong:
            raise CheckpointError(" ".join(wrong) + " No other is left: name another folder, or delete this one to begin anew.")
        return None


def _read(path, device):
    try:
        with zipfile.ZipFile(path) as file:  # torch.load does not look at the checksums that stand in the file
            damaged = file.testzip()
        if damaged:
            raise ValueError(f"damaged at {damaged}")
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch.load has no error of its own: EOFError, RuntimeError, UnpicklingError, KeyError ...
        raise CheckpointError(f"{path} cannot be read ({type(error).__name__}: torn, or no checkpoint).") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path} is no checkpoint of course_lib.training.")
    return state


def _plain(value):
    """The same without NumPy's numbers (a schedule may put some into an optimizer), which a safe reader refuses."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value
