"""Flow `reports`: reports.tally, reports.carrier, reports.days, reports.routes.

Made by `pulpo compile` from pulpo.lock.yaml. Do not edit: change the lock, and compile again.
"""

import asyncio
from typing import Annotated

import pulpo.run.prefect  # before Prefect, which it tells to send no usage data
from prefect import State, flow, task
from prefect.cache_policies import NO_CACHE
from pulpo.run.prefect import call, each, every, run, schema, step

with pulpo.run.prefect.project(__file__):
    from flights.models import Airline, Airport, CarrierDay, CarrierReport, DayReport, Flight, RouteReport, RouteTotal
    from flights.operations.reports import carrier, tally
    from flights.operations.reports import days as reports_days
    from flights.operations.reports import routes as reports_routes

LateAfter = Annotated[
    int,
    schema(
        description="Minutes after schedule from which an arrival is late.",
        exclusiveMinimum=0,
        type="integer",
    ),
]


@task(
    name="reports.tally",
    description="Count all flights once, so that reports need not.",
    task_run_name="reports.tally",
    cache_policy=NO_CACHE,
)
async def reports_tally_task(flights: list[Flight], late_after: int) -> tuple[list[CarrierDay], list[RouteTotal]]:
    return await call(tally, flights=flights, late_after=late_after)


@task(
    name="reports.carrier",
    description="Report on an airline; called for each of them.",
    task_run_name="reports.carrier",
    tags=["report"],
    cache_policy=NO_CACHE,
)
async def reports_carrier_task(airline: Airline, days: list[CarrierDay]) -> CarrierReport:
    return await call(carrier, airline=airline, days=days)


@task(
    name="reports.days",
    description="Report on each day.",
    task_run_name="reports.days",
    tags=["report"],
    cache_policy=NO_CACHE,
)
async def reports_days_task(days: list[CarrierDay]) -> list[DayReport]:
    return await call(reports_days, days=days)


@task(
    name="reports.routes",
    description="Report on each route; Puerto Rico and the Virgin Islands are not among the airports.",
    task_run_name="reports.routes",
    tags=["report"],
    cache_policy=NO_CACHE,
)
async def reports_routes_task(routes: list[RouteTotal], airports: list[Airport]) -> list[RouteReport]:
    return await call(reports_routes, routes=routes, airports=airports)


@flow(name="reports")
async def reports_flow(late_after: LateAfter = 15) -> State[None]:
    return await run(
        step(
            reports_tally_task,
            flights=every("load.flights.ewr", "load.flights.jfk", "load.flights.lga"),
            late_after=late_after,
        ),
        step(reports_carrier_task, airline=each("load.reference.airlines"), days=every("reports.tally")),
        step(reports_days_task, days=every("reports.tally")),
        step(reports_routes_task, routes=every("reports.tally"), airports=every("load.reference.airports")),
    )


if __name__ == "__main__":
    asyncio.run(reports_flow())
