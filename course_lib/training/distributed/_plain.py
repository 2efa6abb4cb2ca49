"""Plain data in a folder: JSON for the shape of it, one npz file for the arrays. No pickle, so nothing in it can run."""

import json
from pathlib import Path

import numpy as np


def save(folder, name, value):
    """Write `value` (numbers, text, None, lists, tuples, dicts with text keys, arrays, tensors) as `name` in `folder`.

    Raises TypeError, naming the place within `value`, for anything else. Tuples come back as lists, tensors as arrays.
    """
    arrays = {}
    text = json.dumps(_without_arrays(value, name, arrays))
    np.savez(Path(folder, f"{name}.npz"), **arrays)
    Path(folder, f"{name}.json").write_text(text, encoding="utf-8")


def load(folder, name):
    """Return what `save` wrote."""
    with np.load(Path(folder, f"{name}.npz"), allow_pickle=False) as arrays:
        return json.loads(
            Path(folder, f"{name}.json").read_text(encoding="utf-8"),
            object_hook=lambda entry: arrays[entry["__array__"]] if entry.keys() == {"__array__"} else entry,
        )


def _without_arrays(value, where, arrays):
    if hasattr(value, "detach"):  # a tensor; torch itself need not be loaded to know it
        value = value.detach().cpu().numpy()
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        arrays[f"array{len(arrays)}"] = value
        return {"__array__": f"array{len(arrays) - 1}"}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(item, f"{where}[{i}]", arrays) for i, item in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _without_arrays(item, f"{where}[{key!r}]", arrays) for key, item in value.items()}
    raise TypeError(
        f"{where} is a {type(value).__name__}, which cannot cross between processes. Use numbers, text, None, lists, "
        "dicts with text keys, NumPy arrays or tensors."
    )
