"""Doing what a plan says: requests, and no decisions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pulpo.apply.prefect.api import RefusedError
from pulpo.apply.prefect.steps import (
    CreateDeployment,
    CreatePool,
    CreateSchedule,
    CreateVariable,
    DeleteDeployment,
    DeleteVariable,
    ScheduleStep,
    Step,
    Steps,
    UpdateDeployment,
    UpdateSchedule,
    UpdateVariable,
)
from pulpo.errors import ApplyError
from pulpo.manifest.references import redact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pulpo.apply.change import Change
    from pulpo.apply.prefect.api import Api

_CONFLICT, _MISSING = 409, 404


async def execute(
    api: Api,
    planned: Steps,
    *,
    on_change: Callable[[Change], None],
    on_refused: Callable[[Change, str], None] = lambda *_: None,
    secrets: frozenset[str] = frozenset(),
) -> None:
    """Make all changes, one after the other; one that Prefect refuses does not keep back the others.

    New deployments come first without their schedules, which follow when all are there. What a schedule costs is the server's
    time to validate it, several times over; in the request that makes the deployment it takes longer than in one of its own.

    Args:
        api: Prefect's API.
        planned: What to do.
        on_change: Hears of each change that was made.
        on_refused: Hears of each change that Prefect refused, and why.
        secrets: What must not be in messages.

    Raises:
        ApplyError: Prefect refused changes (all others were made), or can't be reached (the rest was not tried).
    """
    steps = planned.steps
    work = _Work(api)
    done: list[Change] = []
    refusals: list[str] = []

    async def attempt(change: Change, doing: Awaitable[_Rest | None]) -> _Rest | None:
        try:
            rest = await doing
        except RefusedError as refused:
            reason = redact(refused.detail, secrets)
            refusals.append(f"\n  {change.address}: {reason}")
            on_refused(change, reason)
            return None
        if rest is None:
            done.append(change)
            on_change(change)
        return rest

    try:
        rests = [(step.change, await attempt(step.change, work.do(step))) for step in steps]
        for change, rest in rests:
            if rest is not None:
                await attempt(change, work.finish(rest))
    except ApplyError as error:
        raise ApplyError(f"{error.message} ({len(done)} of {len(steps)} changes were made)", hint=error.hint) from None
    if refusals:
        others = "; the others were made" if done else ""
        raise ApplyError(f"Prefect refused {len(refusals)} of {len(steps)} changes{others}:{''.join(refusals)}")


@dataclass(frozen=True, slots=True)
class _Rest:
    """What is left of making a deployment: its schedule."""

    deployment: str
    schedule: CreateSchedule


class _Work:
    """The requests of each kind of step."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def do(self, step: Step) -> _Rest | None:
        """Make a change, but for what it returns."""
        match step:
            case CreatePool():
                await self._create_pool(step)
            case CreateDeployment():
                return await self._create(step)
            case UpdateDeployment():
                for schedule in step.schedules:
                    await self._change_schedule(step.id, schedule)
                # The version is in here: it is only there when all else is.
                if step.body:
                    await self._api.request("PATCH", f"/deployments/{step.id}", step.body)
            case DeleteDeployment():
                await self._delete(f"/deployments/{step.id}")
            case CreateVariable():
                await self._api.request("POST", "/variables/", step.body)
            case UpdateVariable():
                await self._api.request("PATCH", f"/variables/{step.id}", step.body)
            case DeleteVariable():
                await self._delete(f"/variables/{step.id}")
        return None

    async def finish(self, rest: _Rest) -> None:
        """Do the rest of a change."""
        await self._create_schedule(rest.deployment, rest.schedule)

    async def _create(self, step: CreateDeployment) -> _Rest | None:
        flow_id = step.flow_id or (await self._api.request("POST", "/flows/", {"name": step.flow}))["id"]
        created = await self._api.request("POST", "/deployments/", {**step.body, "flow_id": flow_id})
        return _Rest(created["id"], step.schedule) if step.schedule else None

    async def _change_schedule(self, deployment: str, step: ScheduleStep) -> None:
        path = f"/deployments/{deployment}/schedules"
        if isinstance(step, CreateSchedule):
            await self._create_schedule(deployment, step)
        elif isinstance(step, UpdateSchedule):
            await self._api.request("PATCH", f"{path}/{step.id}", step.body)
        else:
            await self._delete(f"{path}/{step.id}")

    async def _create_schedule(self, deployment: str, step: CreateSchedule) -> None:
        path = f"/deployments/{deployment}/schedules"
        try:
            await self._api.request("POST", path, [step.body])
        except RefusedError:
            # Somebody else who deploys at the same time, or a lost answer: slugs are unique.
            there = await self._api.request("GET", path)
            same = [schedule["id"] for schedule in there if schedule["slug"] == step.body["slug"]]
            if not same:
                raise
            await self._api.request("PATCH", f"{path}/{same[0]}", step.body)

    async def _create_pool(self, step: CreatePool) -> None:
        pool = step.pool
        body = {"name": pool.name, "type": pool.type, "base_job_template": base_job_template(pool.type)}
        try:
            await self._api.request("POST", "/work_pools/", body)
        except RefusedError as refused:
            if refused.status != _CONFLICT:
                raise
            # Somebody else was faster.
            there = await self._api.request("GET", f"/work_pools/{pool.name}")
            if there["type"] != pool.type:
                raise RefusedError(_CONFLICT, f"it is of type {there['type']}, not {pool.type}") from None

    async def _delete(self, path: str) -> None:
        try:
            await self._api.request("DELETE", path)
        except RefusedError as refused:
            if refused.status != _MISSING:
                raise


def base_job_template(pool_type: str) -> dict[str, Any]:
    """The template that Prefect's own command line gives a new work pool, from the data in its package."""
    text = files("prefect").joinpath("server/api/collections_data/views/aggregate-worker-metadata.json").read_text("utf-8")
    for workers in json.loads(text).values():
        if pool_type in workers:
            return dict(workers[pool_type]["default_base_job_configuration"])
    raise ApplyError(f"this version of Prefect knows no work pools of type {pool_type}")
