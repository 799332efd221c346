"""`/plan`: what `pulpo plan` says. It takes seconds: one is made at a time, and all who ask meanwhile get the same."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Request

from pulpo.api.command_line import command
from pulpo.api.context import Context, context_of
from pulpo.api.parameters import known_alone
from pulpo.api.problems import Fault, Problem
from pulpo.api.service_shapes import PlanInfo
from pulpo.api.services import world_of
from pulpo.codes.credentials import masked, without_credentials

if TYPE_CHECKING:
    from pulpo.api.service_states import World

#: Seconds that a plan may take; a request has to be answered in its own time as well.
_MOST, _MARGIN = 55.0, 2.0
#: A paragraph of a problem, as commands print it: `pulpo.lock.yaml:3:5: error PLP101: services.db: the message`.
_DIAGNOSTIC: Final = re.compile(r"^((?:\S+: )?error PLP\d+: .*)$(?:\n(?!  hint: |\S).*)*(?:\n  hint: (.*)$)?", re.MULTILINE)
_HINT: Final = "\n  hint: "


@dataclass(slots=True)
class Planner:
    """Has plans made; `app.state.planner`."""

    app: FastAPI
    _task: asyncio.Task[Any] | None = None

    async def plan(self, world: World, seconds: float) -> Any:
        """What the command says, as data.

        Raises:
            Problem: It can't be made, or not in so many seconds.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(_made(world, self.app.state.outer_environ, seconds))
        # One who goes away does not end it for the others.
        return await asyncio.shield(self._task)

    async def close(self) -> None:
        """End the one that is being made."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Problem):
                await self._task


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Within it plans are made."""
    app.state.planner = Planner(app)
    try:
        yield
    finally:
        await app.state.planner.close()


def router(context: Context) -> APIRouter:  # noqa: ARG001 - all routers are made alike
    """The route of the plan."""
    routes = APIRouter(tags=["services"], dependencies=[Depends(known_alone)])
    routes.add_api_route("/plan", get_plan, response_model=PlanInfo, operation_id="get_plan")
    return routes


async def get_plan(request: Request) -> Any:
    """What `pulpo apply` would change: services, the database and Prefect are looked at; nothing is changed."""
    context = context_of(request)
    world = world_of(context, "pulpo plan")
    planner: Planner = request.app.state.planner
    return await planner.plan(world, min(_MOST, max(1.0, context.settings.timeout - _MARGIN)))


async def _made(world: World, environ: dict[str, str], seconds: float) -> Any:
    process = await asyncio.create_subprocess_exec(
        *command(world.project, world.mode, "plan", "--format", "json"), cwd=world.project.root, env=environ,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(seconds):
            out, said = await process.communicate()
    except TimeoutError:
        raise Problem(503, f"the plan took longer than {seconds:g} s", hint="pulpo plan", headers={"Retry-After": "5"}) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise _problem(said.decode("utf-8", "replace"), process.returncode)
    return masked(json.loads(out))


def _problem(said: str, code: int | None) -> Problem:
    """Why there is no plan, as the command says it."""
    text = without_credentials(said).strip()
    found = [Fault((), message, hint or None) for message, hint in _DIAGNOSTIC.findall(text)]
    if found:
        return Problem(409, "the manifest has problems, or variables are not set that it refers to", errors=found)
    message, _, hint = text.removeprefix("error: ").partition(_HINT)
    return Problem(409, message or f"`pulpo plan` ended with exit code: {code}", hint=hint or None)
