"""Flows of operations without a dot.

Made by `pulpo compile` from pulpo.lock.yaml. Do not edit: change the lock, and compile again.
"""

import asyncio

import pulpo.run.prefect  # before Prefect, which it tells to send no usage data
from prefect import State, flow, task
from prefect.cache_policies import NO_CACHE
from pulpo.run.prefect import call, every, run, step

with pulpo.run.prefect.project(__file__):
    from jobs.models import CleanedJobs
    from jobs.operations import validate


@task(
    name="validate",
    description="See that each board's companies and titles are in what was merged.",
    task_run_name="validate",
    cache_policy=NO_CACHE,
)
async def validate_task(cleaned: list[CleanedJobs]) -> None:
    return await call(validate, cleaned=cleaned)


@flow(name="validate")
async def validate_flow() -> State[None]:
    return await run(
        step(validate_task, cleaned=every("parsing.clean", "scraping.merge")),
    )


if __name__ == "__main__":
    asyncio.run(validate_flow())
