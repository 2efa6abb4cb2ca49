"""The error that takes the place of a silent NaN."""


class DivergenceError(FloatingPointError):
    """Gradient descent blew up. `step`: where it was seen; `largest_stable_rate`: 2 / L."""

    def __init__(self, step, learning_rate, largest_stable_rate):
        self.step, self.largest_stable_rate = step, largest_stable_rate
        super().__init__(
            f"gradient descent diverged: seen at step {step} with learning_rate={learning_rate:g}. The largest stable "
            f"rate for these data is {largest_stable_rate:.3g}. Use a smaller one, or scale the columns of X first."
        )
