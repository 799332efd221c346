"""Runs by their ids, or by those of Prefect's flow runs, as answers show them."""

from __future__ import annotations

from uuid import UUID

from pulpo.api import queued
from pulpo.api.context import Context
from pulpo.api.problems import Problem
from pulpo.api.run_shapes import IDS, RunDetail
from pulpo.names import did_you_mean
from pulpo.run.history import get_run, list_runs, output_ids
from pulpo.run.record import RunRecord


async def shown(context: Context, run: str) -> RunDetail:
    """A run as it is, whether or not it has begun; raises a `Problem` where there is none."""
    found = await find(context, run)
    if found is not None:
        return await detail(context, found)
    if is_flow_run(run) and (elsewhere := await queued.look(context, run)) is not None:
        return elsewhere
    raise await unknown(context, run)


async def detail(context: Context, run: RunRecord) -> RunDetail:
    """A run with its steps, and of each output the ids of the first records."""
    few = {step.operation for step in run.steps if step.outputs}
    ids = await output_ids(context.store, run, few) if few else {}
    return RunDetail.of(run, {name: [some[:IDS] for some in outputs] for name, outputs in ids.items()})


async def find(context: Context, run: str) -> RunRecord | None:
    """A run by its id, or the last one by Prefect's."""
    if not is_flow_run(run):
        return await get_run(context.store, run)
    latest = await list_runs(context.store, flow_run=run, limit=1)
    return await get_run(context.store, latest[0].id) if latest else None


async def require(context: Context, run: str) -> RunRecord:
    """A run that has begun; raises a `Problem` where there is none."""
    found = await find(context, run)
    if found is None:
        raise await unknown(context, run)
    return found


async def unknown(context: Context, run: str) -> Problem:
    """That there is no such run, and which one may be meant."""
    near = did_you_mean(run, [known.id for known in await list_runs(context.store)])
    return Problem(404, f"there is no such run: {run}", hint=near)


def is_flow_run(run: str) -> bool:
    """Whether it is written as Prefect's ids of flow runs are."""
    try:
        return str(UUID(run)) == run
    except ValueError:
        return False
