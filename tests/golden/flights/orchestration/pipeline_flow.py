"""Flow `pipeline`: the whole project.

Made by `pulpo compile` from pulpo.lock.yaml. Do not edit: change the lock, and compile again.
"""

import asyncio
from typing import Annotated

import pulpo.run.prefect  # before Prefect, which it tells to send no usage data
from prefect import State, flow
from pulpo.run.prefect import every, keyed, previous, run, schema, step, subflow

with pulpo.run.prefect.project(__file__):
    from run_cache.orchestration.delays_flow import delays_flow
    from run_cache.orchestration.load_flow import load_flow
    from run_cache.orchestration.prepare_flow import prepare_flow
    from run_cache.orchestration.reports_flow import reports_flow
    from run_cache.orchestration.standalones import check_totals_task, headline_task

LateAfter = Annotated[
    int,
    schema(
        description="Minutes after schedule from which an arrival is late.",
        exclusiveMinimum=0,
        type="integer",
    ),
]

Months = Annotated[
    int,
    schema(
        description="How many months of the year to load, from January on.",
        maximum=12,
        minimum=1,
        type="integer",
    ),
]


@flow(name="pipeline")
async def pipeline_flow(late_after: LateAfter = 15, months: Months = 12, year: int = 2013) -> State[None]:
    return await run(
        subflow(load_flow, months=months),
        subflow(prepare_flow, late_after=late_after),
        subflow(delays_flow, late_after=late_after, year=year),
        subflow(reports_flow, late_after=late_after),
        step(
            check_totals_task,
            loaded=keyed("load.flights.ewr", "load.flights.jfk", "load.flights.lga"),
            days=every("reports.tally"),
        ),
        step(
            headline_task,
            carriers=every("reports.carrier"),
            days=every("reports.days"),
            hours=every("delays.by_hour"),
            previous=previous(),
        ),
    )


if __name__ == "__main__":
    asyncio.run(pipeline_flow())
