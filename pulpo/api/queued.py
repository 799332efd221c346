"""Runs that Prefect makes: asked for, looked at and cancelled on the project's Prefect server.

Until a worker has begun a flow run, it is not in Pulpo's history; it then goes by Prefect's id.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import importlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from pulpo.api.problems import Problem
from pulpo.errors import ApplyError, PulpoError
from pulpo.manifest.addresses import host_address
from pulpo.run.record import State

if TYPE_CHECKING:
    from pulpo.api.context import Context
    from pulpo.api.run_shapes import RunDetail
    from pulpo.apply.prefect.api import Api

#: Seconds in which a server of this machine takes a connection.
_MOMENT: Final = 0.5
#: Seconds for what an answer can do without.
_PATIENCE: Final = 2.0
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
    name = f"{flow}/{_own_name(context)}"
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

    if not await _is_configured(context):
        return None
    async with _client(context) as (client, deployed):
        found = await deployed.read(client, UUID(flow_run))
        if found is None:
            return None
        run, flow = found
        state = _STATES.get(run.state_type.value if run.state_type else "", State.PENDING)
        message = run.state.message if run.state and state in (State.FAILED, State.CRASHED) else None
        return RunDetail.queued(flow_run, flow, state, message)


async def under_way(context: Context) -> list[RunDetail]:
    """The flow runs that are due or go on, the latest first, begun or not; none if no server tells in a moment."""
    from pulpo.api.run_shapes import RunDetail
    from pulpo.apply.prefect import observe
    from pulpo.apply.prefect.api import RefusedError

    if not await _is_configured(context):
        return []
    with contextlib.suppress(TimeoutError, RefusedError, PulpoError, Problem):
        async with asyncio.timeout(_PATIENCE), _api(context) as api:
            found = await observe.under_way(api, _own_name(context), context.compiler.flow_names())
            return [RunDetail.queued(run["id"], flow, _STATES.get(run["state_type"], State.PENDING)) for flow, run in found]
    return []


async def cancel(context: Context, flow_run: str) -> bool:
    """Asks the server to cancel a flow run that a worker makes; False where it is none of those, or there is no server."""
    if not await _is_configured(context):
        return False
    async with _client(context) as (client, deployed):
        return bool(await deployed.cancel(client, UUID(flow_run)))


async def anchors(context: Context, deployments: Sequence[str]) -> dict[str, dt.datetime]:
    """What the intervals of deployments count from, by their full names; without those that no server tells in a moment.

    A server that takes Prefect's own client (`pulpo.apply.prefect.direct`) is not asked: to import that is not worth it.
    """
    from pulpo.apply.prefect import observe
    from pulpo.apply.prefect.api import RefusedError
    from pulpo.apply.prefect.direct import direct

    if not deployments or not await _is_configured(context):
        return {}
    with contextlib.suppress(TimeoutError, RefusedError, ApplyError):
        async with asyncio.timeout(_PATIENCE), direct(context.manifest, _ports(context), os.environ) as api:
            return await observe.anchors(api, deployments) if api else {}
    return {}


async def _is_configured(context: Context) -> bool:
    """Whether there is a server; the project's own one counts while something listens there."""
    service = context.manifest.services.get("prefect")
    if os.environ.get("PREFECT_API_URL") or (service is not None and service.uri is not None):
        return True
    address = host_address(context.manifest, "prefect", _ports(context))
    return address is not None and await _listens(*address)


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_MOMENT):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:  # TimeoutError is one
        return False
    writer.close()
    return True


def _own_name(context: Context) -> str:
    """What the project's deployments are called, each beside its flow."""
    environment = context.project.environment if context.project else None
    return f"{context.manifest.project.name}{f'.{environment}' if environment else ''}"


def _ports(context: Context) -> Mapping[str, int]:
    return context.project.chosen_ports if context.project else {}


@contextlib.asynccontextmanager
async def _api(context: Context) -> AsyncIterator[Api]:
    """The server's API, through Prefect's own client where it takes that."""
    from pulpo.apply.prefect.api import through
    from pulpo.apply.prefect.direct import direct

    async with direct(context.manifest, _ports(context), os.environ) as api:
        if api is not None:
            yield api
            return
    async with _client(context) as (client, _):
        yield through(client)


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
    with server.connected(context.manifest, os.environ, locate, ports=_ports(context)) as url:
        async with server.client(server.required(url)) as client:
            yield client, deployed
