"""Flow `parsing`: parsing.clean.

Made by `pulpo compile` from pulpo.lock.yaml. Do not edit: change the lock, and compile again.
"""

import asyncio

import pulpo.run.prefect  # before Prefect, which it tells to send no usage data
from prefect import State, flow, task
from prefect.cache_policies import NO_CACHE
from pulpo.run.prefect import call, each, run, step

with pulpo.run.prefect.project(__file__):
    from jobs.models import CleanedJobs, RawJobs
    from jobs.operations import clean


@task(
    name="parsing.clean",
    description="The postings of one board with their text in order; called for each of them.",
    task_run_name="parsing.clean",
    cache_policy=NO_CACHE,
)
async def parsing_clean_task(raw: RawJobs) -> CleanedJobs:
    return await call(clean, raw=raw)


@flow(name="parsing")
async def parsing_flow() -> State[None]:
    return await run(
        step(parsing_clean_task, raw=each("scraping.linkedin.fetch", "scraping.stepstone.fetch")),
    )


if __name__ == "__main__":
    asyncio.run(parsing_flow())
