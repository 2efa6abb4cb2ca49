"""What every data set of the course looks like."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table with its history. Unpacks to its two arrays: `X, y = load_diabetes()`.

    X : features, shape (m, n): an array, or a DataFrame where the columns are of several kinds.
    y : what is to be predicted, shape (m,).
    feature_names, target_name : what the columns of X and y hold, with units where there are any.
    origin, licence : where the data come from, and what you may do with them.
    groups : shape (m,), which rows belong together (one patient, one machine); None where rows are independent.
    truth : for generated data, what no real table tells: the true function, the noise, the best possible error.
    """

    X: object
    y: np.ndarray
    feature_names: list
    target_name: str
    origin: str
    licence: str
    groups: np.ndarray | None = None
    truth: dict | None = field(default=None, repr=False)

    def __iter__(self):
        return iter((self.X, self.y))

    def __repr__(self):
        rows, columns = self.X.shape
        return f"Dataset of {rows:,} rows x {columns} features to predict {self.target_name}. {self.origin} Licence: {self.licence}."
