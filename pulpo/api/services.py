"""`/services`: what the manifest says of them, how they are, what they said, and a restart."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Query, Request

from pulpo.api import service_shapes as shapes
from pulpo.api.command_line import in_container, outer_environment
from pulpo.api.context import Context, context_of
from pulpo.api.parameters import known_alone
from pulpo.api.problems import Problem
from pulpo.api.service_logs import read_log
from pulpo.api.service_restarts import Restarts
from pulpo.api.service_states import States, Told, World
from pulpo.codes.credentials import masked
from pulpo.manifest.references import variable_states
from pulpo.names import did_you_mean

#: How many lines of a log come at once where nobody says it, and at the most.
_TAIL, _MOST = 200, 5000
#: What nothing has to be restarted of.
_NOTHING_RUNS: Final = {"embedded": "it is a file, nothing runs", "elsewhere": "somebody else runs it"}


def install(app: FastAPI, context: Context) -> None:
    """Let the app know with what this process was started, before a newer lock says something else."""
    environ = outer_environment(context.manifest)
    app.state.outer_environ = environ
    app.state.service_states = States(environ)
    app.state.restarts = Restarts(environ)


def router(context: Context) -> APIRouter:  # noqa: ARG001 - all routers are made alike
    """The routes of services."""
    routes = APIRouter(tags=["services"], dependencies=[Depends(known_alone)])
    for path, endpoint, shape in (
        ("/services", get_services, shapes.ServiceList),
        ("/services/{service}", get_service, shapes.ServiceDetail),
        ("/services/{service}/logs", get_service_logs, shapes.ServiceLog),
    ):
        routes.add_api_route(path, endpoint, response_model=shape, operation_id=endpoint.__name__)
    routes.add_api_route(
        "/services/{service}/restart",
        restart_service,
        methods=["POST"],
        status_code=202,
        response_model=shapes.RestartInfo,
        operation_id="restart_service",
    )
    return routes


async def get_services(request: Request) -> Any:
    """The services as the manifest has them, what their references stand for never told; and how they are."""
    told = await _told(request)
    entries = {name: spec.data() for name, spec in sorted(context_of(request).manifest.services.items())}
    orphans: dict[str, dict[str, Any]] = {
        name: {} for name, status in told.statuses.items() if status["orphan"] and name not in entries
    }
    items = [_service(request, name, settings, told) for name, settings in {**entries, **orphans}.items()]
    return {"items": items, "mode": told.mode, "problem": told.problem}


async def get_service(request: Request, service: str) -> Any:
    """A service as the manifest has it, what its references stand for never told; and how it is."""
    told = await _told(request)
    settings = _settings(context_of(request), service, told)
    return {**_service(request, service, settings, told), "mode": told.mode, "problem": told.problem}


async def get_service_logs(
    request: Request,
    service: str,
    tail: Annotated[int, Query(ge=0, le=_MOST, description="How many lines come at the most.")] = _TAIL,
    after: Annotated[
        str | None, Query(description="`next` of the answer before: the lines that came since. Without it, the last ones.")
    ] = None,
) -> Any:
    """What a service said; asking again and again with `after` follows it."""
    world = world_of(context_of(request), f"pulpo logs {service}")
    _settings(context_of(request), service, await _told(request))
    return await asyncio.to_thread(read_log, world, service, tail, after)


async def restart_service(request: Request, service: str) -> Any:
    """Stop a service and start it again. The answer comes before it is stopped, so that also the API can be restarted."""
    context = context_of(request)
    world = world_of(context, f"pulpo restart {service}")
    told = await _told(request)
    _settings(context, service, told)
    status = told.statuses.get(service)
    if status is None:
        raise Problem(409, told.problem or f"the service is not part of the project: {service}")
    if status["orphan"]:
        raise Problem(409, f"the manifest has no such service any more: {service}", hint="`pulpo up` takes away what left it")
    if (why := _NOTHING_RUNS.get(status["state"])) is not None:
        raise Problem(409, f"{service} can't be restarted: {why}")
    restarts: Restarts = request.app.state.restarts
    await asyncio.to_thread(restarts.begin, world, service)
    request.app.state.service_states.forget()
    return {"name": service, "state": "stopping"}


async def _told(request: Request) -> Told:
    states: States = request.app.state.service_states
    return await states.now(context_of(request))


def world_of(context: Context, instead: str) -> World:
    """What is looked at and changed.

    Raises:
        Problem: 409, there is nothing that this process could reach.
    """
    if context.project is None or context.document is None:
        raise Problem(409, "this API was made without a project's directory: it knows the manifest alone")
    if in_container(context):
        raise Problem(409, "from inside a container this can't be done", hint=f"where the containers were started: {instead}")
    return World.of(context)


def _settings(context: Context, name: str, told: Told) -> Mapping[str, Any]:
    """What the manifest says of a service; nothing of one that only runs.

    Raises:
        Problem: 404, with the nearest name.
    """
    spec = context.manifest.services.get(name)
    if spec is not None:
        return spec.data()
    if name in told.statuses:
        return {}
    raise Problem(404, f"there is no such service: {name}", hint=did_you_mean(name, _known(context, told)))


def _known(context: Context, told: Told) -> Iterable[str]:
    return sorted({*context.manifest.services, *told.statuses})


def _service(request: Request, name: str, settings: Mapping[str, Any], told: Told) -> dict[str, Any]:
    environ = request.app.state.outer_environ if told.mode == "local" else os.environ
    states = variable_states({"services": {name: settings}}, environ)
    status = told.statuses.get(name)
    shown = None if status is None else _status(status, request.app.state.restarts)
    return {"name": name, "settings": masked(dict(settings)), "variables": states, "status": shown}


def _status(status: Mapping[str, Any], restarts: Restarts) -> dict[str, Any]:
    """A status as the answer has it; that of a service whose restart has only just begun is `stopping`."""
    return {**status, "state": restarts.state(status), "restart_error": restarts.problem(status["name"])}
