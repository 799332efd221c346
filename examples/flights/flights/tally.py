"""Counting flights, and what the counts say about punctuality."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Annotated, TypedDict, TypeVar

from pydantic import Field

from flights.models import Flight, Tallied

KeyT = TypeVar("KeyT", bound=Hashable)
TalliedT = TypeVar("TalliedT", bound=Tallied)

LateAfter = Annotated[int, Field(gt=0, description="Minutes after schedule from which an arrival is late.")]


class Figures(TypedDict):
    """The fields of `Punctuality`."""

    flights: int
    cancelled: int
    late_share: float | None
    mean_delay: float | None


class Sums(TypedDict):
    """The fields of `Tallied`."""

    flights: int
    cancelled: int
    diverted: int
    late: int
    delay_minutes: int


@dataclass(slots=True)
class Tally:
    """A running count."""

    flights: int = 0
    cancelled: int = 0
    diverted: int = 0
    late: int = 0
    delay_minutes: int = 0

    def count(self, flight: Flight, late_after: int) -> None:
        """Count one flight more."""
        self.flights += 1
        if flight.dep_delay is None:
            self.cancelled += 1
        elif flight.arr_delay is None:
            self.diverted += 1
        else:
            self.delay_minutes += flight.arr_delay
            self.late += flight.arr_delay >= late_after

    def add(self, other: Tallied) -> None:
        """Add what was counted elsewhere."""
        self.flights += other.flights
        self.cancelled += other.cancelled
        self.diverted += other.diverted
        self.late += other.late
        self.delay_minutes += other.delay_minutes

    @property
    def sums(self) -> Sums:
        """The counts as fields of a `Tallied`."""
        return Sums(
            flights=self.flights,
            cancelled=self.cancelled,
            diverted=self.diverted,
            late=self.late,
            delay_minutes=self.delay_minutes,
        )

    @property
    def figures(self) -> Figures:
        """What the counts say, as fields of a `Punctuality`."""
        arrived = self.flights - self.cancelled - self.diverted
        return Figures(
            flights=self.flights,
            cancelled=self.cancelled,
            late_share=round(self.late / self.flights, 4) if self.flights else None,
            mean_delay=round(self.delay_minutes / arrived, 2) if arrived else None,
        )


def counted(flights: Iterable[Flight], by: Callable[[Flight], KeyT], late_after: int) -> dict[KeyT, Tally]:
    """A tally for each value of `by`, in the order of their first flights."""
    tallies: defaultdict[KeyT, Tally] = defaultdict(Tally)
    for flight in flights:
        tallies[by(flight)].count(flight, late_after)
    return dict(tallies)


def summed(parts: Iterable[TalliedT], by: Callable[[TalliedT], KeyT]) -> dict[KeyT, Tally]:
    """The parts added up for each value of `by`, in the order of their first parts."""
    tallies: defaultdict[KeyT, Tally] = defaultdict(Tally)
    for part in parts:
        tallies[by(part)].add(part)
    return dict(tallies)
