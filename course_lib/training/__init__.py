"""The path for networks (PyTorch): one loop, `fit`, and what stands around it.

    from course_lib.training import fit

    history = fit(model, (X, y), validation=(X_val, y_val), num_epochs=20)
    history.plot()

Each name loads its own file when it is asked for; `import course_lib.training` alone does not load torch.
"""

import importlib
import sys
import types

_FILES = {
    "fit": "course_lib.training.fit",
    "History": "course_lib.training.history",
    "TrainingDiverged": "course_lib.training.divergence",
    "evaluate": "course_lib.training.evaluation",
    "mixup": "course_lib.training.augment",
    "lr_range_test": "course_lib.training.range_test",
    "find_batch_size": "course_lib.training.batch_size",
    "train_grid": "course_lib.training.grid",
    "profile": "course_lib.training.profile",
    "GPT": "course_lib.training.gpt",
    "load_text": "course_lib.datasets",
}

__all__ = [*_FILES, "distributed"]


def __getattr__(name):
    if name in _FILES:
        return getattr(importlib.import_module(_FILES[name]), name)
    if name == "distributed":
        return importlib.import_module("course_lib.training.distributed")
    raise AttributeError(f"module 'course_lib.training' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)


class _Package(types.ModuleType):
    """`fit` is a function and also the file it stands in: the package's name means the function, whoever loads the file."""

    def __setattr__(self, name, value):
        if isinstance(value, types.ModuleType) and name in _FILES:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
