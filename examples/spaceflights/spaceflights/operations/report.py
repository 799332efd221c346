"""`report`: figures for a chart."""

from collections import defaultdict
from statistics import fmean

from pulpo import operation
from spaceflights.models import Capacity, Shuttle


@operation("report.capacity", tags=["report"])
def capacity(shuttles: list[Shuttle]) -> list[Capacity]:
    """The mean capacity of each type of shuttle, by type."""
    seats: defaultdict[str, list[int]] = defaultdict(list)
    for shuttle in shuttles:
        if shuttle.shuttle_type is not None:
            seats[shuttle.shuttle_type].append(shuttle.passenger_capacity)
    return [Capacity(shuttle_type=kind, shuttles=len(of), passenger_capacity=fmean(of)) for kind, of in sorted(seats.items())]
