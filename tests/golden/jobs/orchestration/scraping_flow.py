"""Flow `scraping`: scraping.linkedin.fetch, scraping.stepstone.fetch, scraping.merge.

Made by `pulpo compile` from pulpo.lock.yaml. Do not edit: change the lock, and compile again.
"""

import asyncio

import pulpo.run.prefect  # before Prefect, which it tells to send no usage data
from prefect import State, flow, task
from prefect.cache_policies import NO_CACHE
from pulpo.run.prefect import call, one, run, step, subflow, worth_retrying

with pulpo.run.prefect.project(__file__):
    from jobs.models import CleanedJobs, RawJobs
    from jobs.operations import fetch_linkedin, fetch_stepstone, merge


@task(
    name="scraping.linkedin.fetch",
    description="The postings of LinkedIn.",
    task_run_name="scraping.linkedin.fetch",
    retries=3,
    retry_delay_seconds=[1, 2, 4],
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
async def scraping_linkedin_fetch_task(keywords: str) -> RawJobs:
    return await call(fetch_linkedin, keywords=keywords)


@flow(name="scraping.linkedin")
async def scraping_linkedin_flow(keywords: str = "python") -> State[None]:
    return await run(
        step(scraping_linkedin_fetch_task, keywords=keywords),
    )


@task(
    name="scraping.stepstone.fetch",
    description="The postings of StepStone.",
    task_run_name="scraping.stepstone.fetch",
    retries=3,
    retry_delay_seconds=[1, 2, 4],
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
async def scraping_stepstone_fetch_task(keywords: str) -> RawJobs:
    return await call(fetch_stepstone, keywords=keywords)


@flow(name="scraping.stepstone")
async def scraping_stepstone_flow(keywords: str = "python") -> State[None]:
    return await run(
        step(scraping_stepstone_fetch_task, keywords=keywords),
    )


@task(
    name="scraping.merge",
    description="All postings; what is on both boards once, as StepStone has it.",
    task_run_name="scraping.merge",
    cache_policy=NO_CACHE,
)
async def scraping_merge_task(stepstone: RawJobs, linkedin: RawJobs) -> CleanedJobs:
    return await call(merge, stepstone=stepstone, linkedin=linkedin)


@flow(name="scraping")
async def scraping_flow(keywords: str = "python") -> State[None]:
    return await run(
        subflow(scraping_linkedin_flow, keywords=keywords),
        subflow(scraping_stepstone_flow, keywords=keywords),
        step(scraping_merge_task, stepstone=one("scraping.stepstone.fetch"), linkedin=one("scraping.linkedin.fetch")),
    )


if __name__ == "__main__":
    asyncio.run(scraping_flow())
