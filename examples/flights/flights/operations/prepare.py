"""`prepare`: put right and fill in what was loaded."""

from flights.models import Flight, Plane, Weather
from flights.tally import LateAfter, Tally, counted
from pulpo import operation

#: Miles per hour; the strongest gust ever measured at the ground was 253.
IMPOSSIBLE_WIND = 250


@operation("prepare.weather")
def weather(observations: list[Weather]) -> list[Weather]:
    """Forget wind speeds that can't be: the year has one of 1,048 miles per hour."""
    return [o.model_copy(update={"wind_speed": None}) if (o.wind_speed or 0) > IMPOSSIBLE_WIND else o for o in observations]


@operation("prepare.planes")
def planes(planes: list[Plane], flights: list[Flight], late_after: LateAfter = 15) -> list[Plane]:
    """Count the flights of each plane."""
    made = counted(flights, lambda flight: flight.tailnum, late_after)
    return [plane.model_copy(update=dict(made.get(plane.tailnum, Tally()).sums)) for plane in planes]
