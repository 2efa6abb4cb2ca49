"""MNIST-1D: ten wave forms of 40 points that play the part of digits, small enough to train networks on in a second."""

import numpy as np

from course_lib._inputs import generator, whole
from course_lib.datasets._dataset import Dataset

# The ten templates of MNIST-1D (Greydanus and Kobak, Apache-2.0): the outline of each digit, drawn as a curve.
_TEMPLATES = np.array([
    [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
    [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
    [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
    [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
    [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
    [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
    [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
    [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
])  # fmt: skip
_GRID, _LENGTH = 72, 40  # points while a wave is deformed, points that are kept


def make_mnist1d(n_samples=5000, random_state=None):
    """Waves of 40 points in ten classes of equal size; hard for a linear model, easy for a convolution.

    A template of one of ten digits is padded (which squeezes it), scaled, moved in a circle, buried in smooth noise
    where it is flat, sheared and resampled. X (m, 40) has mean 0 and standard deviation 1 over all values; y is the
    digit. The construction, its constants and its templates are those of MNIST-1D, drawn for all rows at once from an
    own generator: same distribution, other rows than the published file. Only `mnist1d` itself gives those rows.

    Origin: S. Greydanus, D. Kobak, "Scaling Down Deep Learning with MNIST-1D", 2020. Licence: Apache-2.0.
    """
    n_samples = whole("n_samples", n_samples, minimum=10)
    rng = generator(random_state)
    y = rng.permutation(np.arange(n_samples) % 10)
    X = np.empty((n_samples, _LENGTH))
    for rows in np.array_split(np.arange(n_samples), -(-n_samples // 10_000)):  # blocks keep the memory small
        X[rows] = _waves(y[rows], rng)
    return Dataset(
        X=(X - X.mean()) / X.std(),
        y=y,
        feature_names=[f"t{i}" for i in range(_LENGTH)],
        target_name="digit",
        origin="Construction and templates of MNIST-1D (Greydanus and Kobak, 2020), rows drawn by course_lib.",
        licence="Apache-2.0",
    )


def _waves(y, rng):
    m, grid = len(y), np.arange(_GRID)
    templates = (_TEMPLATES - _TEMPLATES.mean(1, keepdims=True)) / _TEMPLATES.std(1, keepdims=True)
    templates = (templates - templates[:, :1]) / 6  # each starts and ends at 0
    padding = rng.integers(36, 61, m)
    position = grid * (12 + padding[:, None] - 1) / (_GRID - 1)  # where each point falls on the padded template
    padded = np.pad(templates, ((0, 0), (0, _GRID - 12)))
    waves = _interpolate(padded[y], position)
    on_template = position < 12  # beyond it there is padding, which the smooth noise fills
    waves *= rng.uniform(0.8, 1.2, (m, 1))
    shift = (grid - rng.integers(0, 48, (m, 1))) % _GRID
    waves, on_template = np.take_along_axis(waves, shift, 1), np.take_along_axis(on_template, shift, 1)
    waves = np.where(on_template, waves, _smooth(0.25 * rng.standard_normal((m, _GRID))))
    waves += 0.02 * rng.standard_normal((m, _GRID))
    waves -= rng.uniform(-0.375, 0.375, (m, 1)) * np.linspace(-0.5, 0.5, _GRID)
    return _interpolate(waves, np.broadcast_to(np.linspace(0, _GRID - 1, _LENGTH), (m, _LENGTH)))


def _interpolate(values, position):
    """Read each row of `values` at fractional positions, on straight lines between its points."""
    left = np.minimum(position.astype(int), values.shape[1] - 2)
    share = position - left
    return np.take_along_axis(values, left, 1) * (1 - share) + np.take_along_axis(values, left + 1, 1) * share


def _smooth(noise):
    """Blur each row with a Gaussian window of standard deviation 2, mirrored at the ends."""
    window = np.exp(-0.5 * (np.arange(-8, 9) / 2) ** 2)
    window /= window.sum()
    mirrored = np.pad(noise, ((0, 0), (8, 8)), mode="symmetric")
    return sum(weight * mirrored[:, i : i + _GRID] for i, weight in enumerate(window))
