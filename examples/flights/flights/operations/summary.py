"""Operations of no flow: the check and the headline."""

from typing import Annotated

from flights.models import CarrierDay, CarrierReport, DayReport, Flight, Headline, HourReport, SourceTotal
from pulpo import From, Previous, operation


@operation("check_totals")
def check_totals(loaded: Annotated[dict[str, list[Flight]], From("load.flights.*")], days: list[CarrierDay]) -> list[SourceTotal]:
    """See that the tally has every flight that was loaded, and say where they came from.

    Raises:
        ValueError: Flights were lost, or counted twice.
    """
    expected, counted = sum(map(len, loaded.values())), sum(day.flights for day in days)
    if expected != counted:
        raise ValueError(f"{expected} flights were loaded, but the tally has another number: {counted}")
    return [
        SourceTotal(
            source=source,
            flights=len(flights),
            first_day=min(flight.day for flight in flights),
            last_day=max(flight.day for flight in flights),
        )
        for source, flights in sorted(loaded.items())
        if flights
    ]


@operation("headline", tags=["report"])
def headline(
    carriers: list[CarrierReport], days: list[DayReport], hours: list[HourReport], previous: Previous[Headline] | None
) -> Headline:
    """Put the year in a sentence."""
    flights = sum(day.flights for day in days)
    best = min((carrier for carrier in carriers if carrier.flights), key=lambda carrier: carrier.late_share or 0)
    day = max(days, key=lambda day: day.mean_delay or 0)
    hour = max(hours, key=lambda hour: hour.mean_delay or 0)
    return Headline(
        year=day.day.year,
        text=(
            f"{flights:,} flights: the most punctual airline was {best.name} with {best.late_share:.0%} late, "
            f"the worst day {day.day:%-d %B} with {day.mean_delay:.0f} minutes of delay, the worst hour {hour.hour}:00"
        ),
        flights=flights,
        new_flights=flights - (previous.flights if previous else 0),
    )
