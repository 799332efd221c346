"""Flows of operations without a dot.

Made by `pulpo compile` from pulpo.lock.yaml. Do not edit: change the lock, and compile again.
"""

import sys

import pulpo.run.prefect  # before Prefect, which it tells to send no usage data
from prefect import State, flow, task
from prefect.cache_policies import NO_CACHE
from pulpo.run.prefect import call, every, keyed, previous, run, step

with pulpo.run.prefect.project(__file__):
    from flights.models import CarrierDay, CarrierReport, DayReport, Flight, Headline, HourReport, SourceTotal
    from flights.operations.summary import check_totals, headline


@task(
    name="check_totals",
    description="See that the tally has every flight that was loaded, and say where they came from.",
    task_run_name="check_totals",
    cache_policy=NO_CACHE,
)
async def check_totals_task(loaded: dict[str, list[Flight]], days: list[CarrierDay]) -> list[SourceTotal]:
    return await call(check_totals, loaded=loaded, days=days)


@flow(name="check_totals")
async def check_totals_flow() -> State[None]:
    return await run(
        step(
            check_totals_task,
            loaded=keyed("load.flights.ewr", "load.flights.jfk", "load.flights.lga"),
            days=every("reports.tally"),
        ),
    )


@task(
    name="headline",
    description="Put the year in a sentence.",
    task_run_name="headline",
    tags=["report"],
    cache_policy=NO_CACHE,
)
async def headline_task(
    carriers: list[CarrierReport],
    days: list[DayReport],
    hours: list[HourReport],
    previous: Headline | None,
) -> Headline:
    return await call(headline, carriers=carriers, days=days, hours=hours, previous=previous)


@flow(name="headline")
async def headline_flow() -> State[None]:
    return await run(
        step(
            headline_task,
            carriers=every("reports.carrier"),
            days=every("reports.days"),
            hours=every("delays.by_hour"),
            previous=previous(),
        ),
    )


if __name__ == "__main__":
    sys.exit("several flows are in this file, run one of them: pulpo run check_totals --engine prefect")
