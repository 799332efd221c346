"""Flow `pipeline`: the whole project.

Made by `pulpo compile` from pulpo.lock.yaml. Do not edit: change the lock, and compile again.
"""

import asyncio

import pulpo.run.prefect  # before Prefect, which it tells to send no usage data
from prefect import State, flow
from pulpo.run.prefect import every, run, step, subflow

with pulpo.run.prefect.project(__file__):
    from run_cache.orchestration.parsing_flow import parsing_flow
    from run_cache.orchestration.scraping_flow import scraping_flow
    from run_cache.orchestration.standalones import validate_task


@flow(name="pipeline")
async def pipeline_flow(keywords: str = "python") -> State[None]:
    return await run(
        subflow(scraping_flow, keywords=keywords),
        subflow(parsing_flow),
        step(validate_task, cleaned=every("parsing.clean", "scraping.merge")),
    )


if __name__ == "__main__":
    asyncio.run(pipeline_flow())
