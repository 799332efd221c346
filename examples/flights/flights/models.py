"""What the pipeline reads and makes. Delays are those at arrival, in minutes; early is negative."""

import dataclasses
import datetime as dt
from typing import Literal

from pydantic import BaseModel

from pulpo import datamodel

Sky = Literal["fair", "strong wind", "rain or snow", "poor visibility", "unknown"]


# A dataclass with slots: a year of flights takes a third of the memory that pydantic models would.
@datamodel(key=["day", "carrier", "flight", "origin"], indexes=["dest"], tags=["source"])
@dataclasses.dataclass(frozen=True, slots=True)
class Flight:
    """A scheduled departure; cancelled without `dep_delay`, diverted with that but without `arr_delay`."""

    day: dt.date
    carrier: str
    flight: int
    origin: str
    dest: str
    tailnum: str | None
    hour: int
    time_hour: dt.datetime
    dep_delay: int | None
    arr_delay: int | None


@datamodel(key="carrier", tags=["source"])
class Airline(BaseModel):
    """An airline and its two-letter code."""

    carrier: str
    name: str


@datamodel(key="faa", tags=["source"])
class Airport(BaseModel):
    """An airport of the United States."""

    faa: str
    name: str
    lat: float
    lon: float
    tzone: str | None


@datamodel(key=["origin", "time_hour"], tags=["source"])
class Weather(BaseModel):
    """The weather at an airport in one hour: °F, miles per hour, inches, miles."""

    origin: str
    time_hour: dt.datetime
    temp: float | None
    wind_speed: float | None
    precip: float
    visib: float

    @property
    def sky(self) -> Sky:
        """The worst of what there was."""
        if self.visib < 3:
            return "poor visibility"
        if self.precip > 0:
            return "rain or snow"
        return "strong wind" if (self.wind_speed or 0) >= 20 else "fair"


class Tallied(BaseModel):
    """Flights counted. Sums, not means: they can be added up again."""

    flights: int = 0
    cancelled: int = 0
    diverted: int = 0
    late: int = 0
    delay_minutes: int = 0


class Punctuality(BaseModel):
    """How punctual flights were: `late_share` is of all, `mean_delay` of those that arrived."""

    flights: int
    cancelled: int
    late_share: float | None
    mean_delay: float | None


@datamodel(key="tailnum", tags=["source"])
class Plane(Tallied):
    """A plane, with the year it was built in and the flights that it made."""

    tailnum: str
    year: int | None
    manufacturer: str
    model: str
    seats: int


@datamodel(key=["day", "carrier"])
class CarrierDay(Tallied):
    """The flights of an airline on one day."""

    day: dt.date
    carrier: str


@datamodel(key=["origin", "dest"])
class RouteTotal(Tallied):
    """The flights from one airport to another."""

    origin: str
    dest: str


@datamodel(key="hour")
class HourReport(Punctuality):
    """Punctuality by the hour of the day that a flight should leave in."""

    hour: int


@datamodel(key="sky")
class WeatherReport(Punctuality):
    """Punctuality by the weather at departure."""

    sky: Sky


@datamodel(key="age")
class AgeReport(Punctuality):
    """Punctuality by the age of the plane: of `age` years up to four more."""

    age: int
    planes: int


@datamodel(key="carrier", tags=["report"])
class CarrierReport(Punctuality):
    """Punctuality of an airline; on its worst day most flights were late, diverted or cancelled."""

    carrier: str
    name: str
    worst_day: dt.date | None


@datamodel(key="day", tags=["report"])
class DayReport(Punctuality):
    """Punctuality of a day."""

    day: dt.date
    weekday: str


@datamodel(key=["origin", "dest"], tags=["report"])
class RouteReport(Punctuality):
    """Punctuality of a route."""

    origin: str
    dest: str
    destination: str | None


@datamodel(key="source")
class SourceTotal(BaseModel):
    """What came from one source, as counted against the tally."""

    source: str
    flights: int
    first_day: dt.date
    last_day: dt.date


@datamodel(key="year", tags=["report"])
class Headline(BaseModel):
    """The year in a sentence, and how many flights were not there the last time."""

    year: int
    text: str
    flights: int
    new_flights: int
