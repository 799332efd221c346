"""Flow `load`: 7 operations.

Made by `pulpo compile` from pulpo.lock.yaml. Do not edit: change the lock, and compile again.
"""

import asyncio
from typing import Annotated

import pulpo.run.prefect  # before Prefect, which it tells to send no usage data
from prefect import State, flow, task
from prefect.cache_policies import NO_CACHE
from pulpo.run.prefect import call, run, schema, step, subflow, worth_retrying

with pulpo.run.prefect.project(__file__):
    from flights.models import Airline, Airport, Flight, Plane, Weather
    from flights.operations.load import airlines, airports, ewr, jfk, lga, planes, weather

Months = Annotated[
    int,
    schema(
        description="How many months of the year to load, from January on.",
        maximum=12,
        minimum=1,
        type="integer",
    ),
]


@task(
    name="load.flights.ewr",
    description="Departures from Newark.",
    task_run_name="load.flights.ewr",
    tags=["source"],
    retries=2,
    retry_delay_seconds=[1, 2],
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
async def load_flights_ewr_task(months: int) -> list[Flight]:
    return await call(ewr, months=months)


@task(
    name="load.flights.jfk",
    description="Departures from John F. Kennedy.",
    task_run_name="load.flights.jfk",
    tags=["source"],
    retries=2,
    retry_delay_seconds=[1, 2],
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
async def load_flights_jfk_task(months: int) -> list[Flight]:
    return await call(jfk, months=months)


@task(
    name="load.flights.lga",
    description="Departures from LaGuardia.",
    task_run_name="load.flights.lga",
    tags=["source"],
    retries=2,
    retry_delay_seconds=[1, 2],
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
async def load_flights_lga_task(months: int) -> list[Flight]:
    return await call(lga, months=months)


@flow(name="load.flights")
async def load_flights_flow(months: Months = 12) -> State[None]:
    return await run(
        step(load_flights_ewr_task, months=months),
        step(load_flights_jfk_task, months=months),
        step(load_flights_lga_task, months=months),
    )


@task(
    name="load.reference.airlines",
    description="The airlines that fly from New York.",
    task_run_name="load.reference.airlines",
    tags=["source"],
    cache_policy=NO_CACHE,
)
async def load_reference_airlines_task() -> list[Airline]:
    return await call(airlines)


@task(
    name="load.reference.airports",
    description="The airports that they may fly to.",
    task_run_name="load.reference.airports",
    tags=["source"],
    cache_policy=NO_CACHE,
)
async def load_reference_airports_task() -> list[Airport]:
    return await call(airports)


@task(
    name="load.reference.planes",
    description="The planes that the aviation authority has on its register.",
    task_run_name="load.reference.planes",
    tags=["source"],
    cache_policy=NO_CACHE,
)
async def load_reference_planes_task() -> list[Plane]:
    return await call(planes)


@flow(name="load.reference")
async def load_reference_flow() -> State[None]:
    return await run(
        step(load_reference_airlines_task),
        step(load_reference_airports_task),
        step(load_reference_planes_task),
    )


@task(
    name="load.weather",
    description="The weather at the three airports, hour by hour.",
    task_run_name="load.weather",
    tags=["source"],
    retries=2,
    retry_delay_seconds=[1, 2],
    retry_condition_fn=worth_retrying,
    timeout_seconds=60,
    cache_policy=NO_CACHE,
)
async def load_weather_task(months: int) -> list[Weather]:
    return await call(weather, months=months)


@flow(name="load")
async def load_flow(months: Months = 12) -> State[None]:
    return await run(
        subflow(load_flights_flow, months=months),
        subflow(load_reference_flow),
        step(load_weather_task, months=months),
    )


if __name__ == "__main__":
    asyncio.run(load_flow())
