"""`reports`: punctuality by airline, day and route."""

from flights.models import Airline, Airport, CarrierDay, CarrierReport, DayReport, Flight, RouteReport, RouteTotal
from flights.tally import LateAfter, Tally, counted, summed
from pulpo import operation


@operation("reports.tally")
def tally(flights: list[Flight], late_after: LateAfter = 15) -> tuple[list[CarrierDay], list[RouteTotal]]:
    """Count all flights once, so that reports need not."""
    days = counted(flights, lambda flight: (flight.day, flight.carrier), late_after)
    routes = counted(flights, lambda flight: (flight.origin, flight.dest), late_after)
    return (
        [CarrierDay(day=day, carrier=carrier, **tally.sums) for (day, carrier), tally in sorted(days.items())],
        [RouteTotal(origin=origin, dest=dest, **tally.sums) for (origin, dest), tally in sorted(routes.items())],
    )


@operation("reports.carrier", concurrency=4, tags=["report"])
def carrier(airline: Airline, days: list[CarrierDay]) -> CarrierReport:
    """Report on an airline; called for each of them."""
    own = [day for day in days if day.carrier == airline.carrier]
    worst = max(own, key=lambda day: day.late + day.diverted + day.cancelled, default=None)
    total = summed(own, lambda day: day.carrier).get(airline.carrier, Tally())
    return CarrierReport(carrier=airline.carrier, name=airline.name, worst_day=worst.day if worst else None, **total.figures)


@operation("reports.days", tags=["report"])
def days(days: list[CarrierDay]) -> list[DayReport]:
    """Report on each day."""
    totals = summed(days, lambda day: day.day)
    return [DayReport(day=day, weekday=f"{day:%A}", **total.figures) for day, total in sorted(totals.items())]


@operation("reports.routes", tags=["report"])
def routes(routes: list[RouteTotal], airports: list[Airport]) -> list[RouteReport]:
    """Report on each route; Puerto Rico and the Virgin Islands are not among the airports."""
    names = {airport.faa: airport.name for airport in airports}
    totals = summed(routes, lambda route: (route.origin, route.dest))
    return [
        RouteReport(origin=origin, dest=dest, destination=names.get(dest), **total.figures)
        for (origin, dest), total in sorted(totals.items())
    ]
