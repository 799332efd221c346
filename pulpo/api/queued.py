"""Runs that Prefect makes: asked for, looked at and cancelled on the project's Prefect server.

Until a worker has begun a flow run, it is not in Pulpo's history; it then goes by Prefect's id.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from pulpo.api.problems import Problem
from pulpo.run.record import State

if TYPE_CHECKING:
    from pulpo.api.context import Context
    from pulpo.api.run_shapes import RunDetail

#: By Prefect's types of states.
_STATES: Final = {
    "COMPLETED": State.COMPLETED,
    "FAILED": State.FAILED,
    "CRASHED": State.CRASHED,
    "CANCELLED": State.CANCELLED,
    "CANCELLING": State.RUNNING,
    "RUNNING": State.RUNNING,
    "PAUSED": State.RUNNING,
}


async def queue(context: Context, flow: str, parameters: Mapping[str, Any], key: str | None) -> str:
    """Asks for a run of a deployed flow; the same key means the same one. Returns Prefect's id of it.

    Raises:
        Problem: 409, the flow is not deployed, or 503, there is no server that answers.
        PulpoError: Parameters are unknown or missing, or the server can't be used.
    """
    environment = context.project.environment if context.project else None
    name = f"{flow}/{context.manifest.project.name}{f'.{environment}' if environment else ''}"
    async with _client(context) as (client, deployed):
        found = await deployed.find(client, name)
        if found is None:
            raise Problem(409, f"the flow is not deployed: {name}", hint=f"pulpo prefect deploy {flow}")
        values = deployed.values_for(context.compiler.flow(flow), parameters, found)
        run, _ = await deployed.start(client, found, values, key=key)
        return str(run.id)


async def look(context: Context, flow_run: str) -> RunDetail | None:
    """A flow run as the server has it; None where there is none, or no server."""
    from pulpo.api.run_shapes import RunDetail

    if not _is_configured(context):
        return None
    async with _client(context) as (client, deployed):
        found = await deployed.read(client, UUID(flow_run))
        if found is None:
            return None
        run, flow = found
        state = _STATES.get(run.state_type.value if run.state_type else "", State.PENDING)
        message = run.state.message if run.state and state in (State.FAILED, State.CRASHED) else None
        return RunDetail.queued(flow_run, flow, state, message)


async def cancel(context: Context, flow_run: str) -> bool:
    """Asks the server to cancel a flow run that a worker makes; False where it is none of those, or there is no server."""
    if not _is_configured(context):
        return False
    async with _client(context) as (client, deployed):
        return bool(await deployed.cancel(client, UUID(flow_run)))


def _is_configured(context: Context) -> bool:
    service = context.manifest.services.get("prefect")
    return bool(os.environ.get("PREFECT_API_URL")) or (service is not None and service.uri is not None)


@contextlib.asynccontextmanager
async def _client(context: Context) -> AsyncIterator[tuple[Any, Any]]:
    """A client of the server, and the module that speaks with it."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")  # what goes wrong is answered
    try:
        # Prefect takes seconds to import: requests go on meanwhile.
        await asyncio.to_thread(importlib.import_module, "pulpo.run.prefect")
        deployed = await asyncio.to_thread(importlib.import_module, "pulpo.run.prefect.deployed")
        server = await asyncio.to_thread(importlib.import_module, "pulpo.run.prefect.server")
    except ModuleNotFoundError as error:
        hint = "pip install 'pulpocore[prefect]'"
        raise Problem(503, f"this needs Prefect, of which this is not installed: {error.name}", hint=hint) from error
    locate = context.document.locate if context.document else lambda _: None
    with server.connected(context.manifest, os.environ, locate) as url:
        async with server.client(server.required(url)) as client:
            yield client, deployed
