"""Flow `prepare`: prepare.planes, prepare.weather.

Made by `pulpo compile` from pulpo.lock.yaml. Do not edit: change the lock, and compile again.
"""

import asyncio
from typing import Annotated

import pulpo.run.prefect  # before Prefect, which it tells to send no usage data
from prefect import State, flow, task
from prefect.cache_policies import NO_CACHE
from pulpo.run.prefect import call, every, run, schema, step

with pulpo.run.prefect.project(__file__):
    from flights.models import Flight, Plane, Weather
    from flights.operations.prepare import planes as prepare_planes
    from flights.operations.prepare import weather

LateAfter = Annotated[
    int,
    schema(
        description="Minutes after schedule from which an arrival is late.",
        exclusiveMinimum=0,
        type="integer",
    ),
]


@task(
    name="prepare.planes",
    description="Count the flights of each plane.",
    task_run_name="prepare.planes",
    cache_policy=NO_CACHE,
)
async def prepare_planes_task(planes: list[Plane], flights: list[Flight], late_after: int) -> list[Plane]:
    return await call(prepare_planes, planes=planes, flights=flights, late_after=late_after)


@task(
    name="prepare.weather",
    description="Forget wind speeds that can't be: the year has one of 1,048 miles per hour.",
    task_run_name="prepare.weather",
    cache_policy=NO_CACHE,
)
async def prepare_weather_task(observations: list[Weather]) -> list[Weather]:
    return await call(weather, observations=observations)


@flow(name="prepare")
async def prepare_flow(late_after: LateAfter = 15) -> State[None]:
    return await run(
        step(
            prepare_planes_task,
            planes=every("load.reference.planes"),
            flights=every("load.flights.ewr", "load.flights.jfk", "load.flights.lga"),
            late_after=late_after,
        ),
        step(prepare_weather_task, observations=every("load.weather")),
    )


if __name__ == "__main__":
    asyncio.run(prepare_flow())
