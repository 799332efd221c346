"""`load`: the tables as they are published."""

import asyncio
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, TypeAdapter

from flights.models import Airline, Airport, Flight, Plane, Weather
from flights.source import Row, rows
from pulpo import operation

Months = Annotated[int, Field(ge=1, le=12, description="How many months of the year to load, from January on.")]

_FLIGHTS = TypeAdapter(list[Flight])


@operation("load.flights.ewr", retries=2, tags=["source"])
def ewr(months: Months = 12) -> list[Flight]:
    """Departures from Newark."""
    return _departures("EWR", months)


@operation("load.flights.jfk", retries=2, tags=["source"])
def jfk(months: Months = 12) -> list[Flight]:
    """Departures from John F. Kennedy."""
    return _departures("JFK", months)


@operation("load.flights.lga", retries=2, tags=["source"])
def lga(months: Months = 12) -> list[Flight]:
    """Departures from LaGuardia."""
    return _departures("LGA", months)


@operation("load.reference.airlines", tags=["source"])
def airlines() -> list[Airline]:
    """The airlines that fly from New York."""
    return [Airline.model_validate(row) for row in rows("airlines")]


@operation("load.reference.airports", tags=["source"])
def airports() -> list[Airport]:
    """The airports that they may fly to."""
    return [Airport.model_validate(row) for row in rows("airports")]


@operation("load.reference.planes", tags=["source"])
def planes() -> list[Plane]:
    """The planes that the aviation authority has on its register."""
    return [Plane.model_validate(row) for row in rows("planes")]


@operation("load.weather", retries=2, timeout=60, tags=["source"])
async def weather(months: Months = 12) -> list[Weather]:
    """The weather at the three airports, hour by hour."""
    return await asyncio.to_thread(lambda: [Weather.model_validate(row) for row in rows("weather", months)])


def _departures(origin: str, months: int) -> list[Flight]:
    return _FLIGHTS.validate_python(_dated(rows("flights", months, origin=origin)))


def _dated(flights: Iterator[Row]) -> Iterator[Row]:
    for row in flights:
        yield {**row, "day": f"{row['year']}-{row['month']:0>2}-{row['day']:0>2}"}
