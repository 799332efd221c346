"""`delays`: what makes flights late."""

import datetime as dt
from collections import Counter

from flights.models import AgeReport, Flight, HourReport, Plane, Sky, Weather, WeatherReport
from flights.tally import LateAfter, counted, summed
from pulpo import operation


@operation("delays.by_hour")
def by_hour(flights: list[Flight], late_after: LateAfter = 15) -> list[HourReport]:
    """The hour of the day: delays add up until the evening."""
    tallies = counted(flights, lambda flight: flight.hour, late_after)
    return [HourReport(hour=hour, **tally.figures) for hour, tally in sorted(tallies.items())]


@operation("delays.by_weather")
def by_weather(flights: list[Flight], weather: list[Weather], late_after: LateAfter = 15) -> list[WeatherReport]:
    """The weather in the hour of departure."""
    skies: dict[tuple[str, dt.datetime], Sky] = {(w.origin, w.time_hour): w.sky for w in weather}

    def sky(flight: Flight) -> Sky:
        return skies.get((flight.origin, flight.time_hour), "unknown")

    return [WeatherReport(sky=sky, **tally.figures) for sky, tally in sorted(counted(flights, sky, late_after).items())]


@operation("delays.by_age")
def by_age(planes: list[Plane], year: int = 2013) -> list[AgeReport]:
    """The age of the plane, in steps of five years."""
    bands = {plane.tailnum: (year - plane.year) // 5 * 5 for plane in planes if plane.year is not None and plane.flights}
    sizes = Counter(bands.values())
    tallies = summed((plane for plane in planes if plane.tailnum in bands), lambda plane: bands[plane.tailnum])
    return [AgeReport(age=age, planes=sizes[age], **tally.figures) for age, tally in sorted(tallies.items())]
