"""What a descent leaves behind."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Path:
    """The whole path of one run (axes without k) or of k runs.

    A run that stops before the others keeps its last values to the end of the arrays.
    """

    iterates: np.ndarray  #: (T + 1, [k], n), the start first
    losses: np.ndarray  #: (T + 1, [k]), of the full objective, also with minibatches
    gradient_norms: np.ndarray  #: (T + 1, [k]), Euclidean; with L1 of the shortest subgradient
    learning_rates: np.ndarray  #: (T, [k])
    steps: np.ndarray  #: ([k]), steps taken
    stopped: np.ndarray  #: ([k]), "tolerance", "num_iterations" or "diverged"

    @property
    def theta(self):
        """Where it ended, ([k], n): the last iterate whose loss is finite."""
        return self.iterates[-1]

    @property
    def diverged(self):
        """([k]), True where the loss ceased to be finite."""
        return self.stopped == "diverged"

    def run(self, i):
        """Return the path of run i alone, without the axis of runs."""
        T = self.steps[i]
        return Path(self.iterates[: T + 1, i], self.losses[: T + 1, i], self.gradient_norms[: T + 1, i],
                    self.learning_rates[:T, i], T, self.stopped[i])  # fmt: skip
