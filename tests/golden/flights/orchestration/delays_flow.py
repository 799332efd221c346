"""Flow `delays`: delays.by_hour, delays.by_age, delays.by_weather.

Made by `pulpo compile` from pulpo.lock.yaml. Do not edit: change the lock, and compile again.
"""

import asyncio
from typing import Annotated

import pulpo.run.prefect  # before Prefect, which it tells to send no usage data
from prefect import State, flow, task
from prefect.cache_policies import NO_CACHE
from pulpo.run.prefect import call, every, run, schema, step

with pulpo.run.prefect.project(__file__):
    from flights.models import AgeReport, Flight, HourReport, Plane, Weather, WeatherReport
    from flights.operations.delays import by_age, by_hour, by_weather

LateAfter = Annotated[
    int,
    schema(
        description="Minutes after schedule from which an arrival is late.",
        exclusiveMinimum=0,
        type="integer",
    ),
]


@task(
    name="delays.by_age",
    description="The age of the plane, in steps of five years.",
    task_run_name="delays.by_age",
    cache_policy=NO_CACHE,
)
async def delays_by_age_task(planes: list[Plane], year: int) -> list[AgeReport]:
    return await call(by_age, planes=planes, year=year)


@task(
    name="delays.by_hour",
    description="The hour of the day: delays add up until the evening.",
    task_run_name="delays.by_hour",
    cache_policy=NO_CACHE,
)
async def delays_by_hour_task(flights: list[Flight], late_after: int) -> list[HourReport]:
    return await call(by_hour, flights=flights, late_after=late_after)


@task(
    name="delays.by_weather",
    description="The weather in the hour of departure.",
    task_run_name="delays.by_weather",
    cache_policy=NO_CACHE,
)
async def delays_by_weather_task(flights: list[Flight], weather: list[Weather], late_after: int) -> list[WeatherReport]:
    return await call(by_weather, flights=flights, weather=weather, late_after=late_after)


@flow(name="delays")
async def delays_flow(late_after: LateAfter = 15, year: int = 2013) -> State[None]:
    return await run(
        step(delays_by_age_task, planes=every("prepare.planes"), year=year),
        step(
            delays_by_hour_task,
            flights=every("load.flights.ewr", "load.flights.jfk", "load.flights.lga"),
            late_after=late_after,
        ),
        step(
            delays_by_weather_task,
            flights=every("load.flights.ewr", "load.flights.jfk", "load.flights.lga"),
            weather=every("prepare.weather"),
            late_after=late_after,
        ),
    )


if __name__ == "__main__":
    asyncio.run(delays_flow())
