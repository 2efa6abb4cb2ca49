"""Every data set of the course, offline: bundled tables, a table with real defects, and generators whose truth is known.

Each function returns a `Dataset`, which unpacks as `X, y = load_diabetes()` and says where it comes from and under which
licence; `load_text` returns a `Text`. Loading this package loads NumPy only; scikit-learn, pandas and Matplotlib load
where one is used.
"""

from course_lib.datasets._dataset import Dataset
from course_lib.datasets.bundled import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from course_lib.datasets.generators import (
    make_gaussian_classes,
    make_grouped,
    make_noise_classification,
    make_polynomial,
    make_random_walk,
    make_sparse_linear,
)
from course_lib.datasets.glyphs import make_glyphs
from course_lib.datasets.mnist1d import make_mnist1d
from course_lib.datasets.tables import load_boston_housing, load_flights
from course_lib.datasets.text import load_text

__all__ = [
    "Dataset",
    "load_boston_housing",
    "load_breast_cancer",
    "load_diabetes",
    "load_digits",
    "load_flights",
    "load_iris",
    "load_text",
    "load_wine",
    "make_gaussian_classes",
    "make_glyphs",
    "make_grouped",
    "make_mnist1d",
    "make_noise_classification",
    "make_polynomial",
    "make_random_walk",
    "make_sparse_linear",
]
