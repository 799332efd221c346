"""`/models`, `/operations`, `/flows` and `/services`: what the manifest says, and what follows from it."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request

from pulpo.api import shapes
from pulpo.api.context import Context, context_of
from pulpo.api.parameters import known_alone
from pulpo.api.problems import Problem
from pulpo.api.source import source_place
from pulpo.codes.credentials import masked
from pulpo.graph.hierarchy import Hierarchy, hierarchy
from pulpo.graph.roles import Roles, roles
from pulpo.lock.changes import MISSING
from pulpo.lock.declared import base_of
from pulpo.lock.merge import SETTINGS
from pulpo.manifest.equality import same
from pulpo.manifest.overlay import OverlaidDocument
from pulpo.manifest.references import variable_states
from pulpo.names import did_you_mean, parents
from pulpo.run.codec import collection_of
from pulpo.run.history import list_runs, load
from pulpo.run.record import STEPS, StepRecord, step_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.compile.flow import FlowDefinition
    from pulpo.compile.orchestration import OrchestrationCompiler
    from pulpo.manifest.model import ModelSpec, OperationSpec

CountOption = Annotated[Literal["exact"] | None, Query(description="Say how many records are stored.")]

#: How many of an operation's runs are told, and among how many of the latest they are looked for.
_LAST, _LATEST = 5, 50
_OWNERS: Final[dict[bool, Literal["code", "manifest"]]] = {False: "code", True: "manifest"}


def router(context: Context) -> APIRouter:  # noqa: ARG001 - all routers are made alike
    """The routes of what the manifest says."""
    routes = APIRouter(tags=["manifest"], dependencies=[Depends(known_alone)])
    for path, endpoint, shape in (
        ("/models", get_models, shapes.ModelList),
        ("/models/{model}", get_model, shapes.ModelDetail),
        ("/operations", get_operations, shapes.OperationList),
        ("/operations/{operation}", get_operation, shapes.OperationDetail),
        ("/flows", get_flows, shapes.FlowList),
        ("/flows/{flow}", get_flow, shapes.FlowDetail),
        ("/services", get_services, shapes.ServiceList),
        ("/services/{service}", get_service, shapes.ServiceInfo),
    ):
        routes.add_api_route(path, endpoint, response_model=shape, operation_id=endpoint.__name__)
    return routes


# -------------------------------------------------------------------------------------------------------------- models


async def get_models(request: Request, count: CountOption = None) -> Any:
    """The models: where their records are, and who makes and takes them."""
    context = context_of(request)
    counts = {name: await _count(context, name, count) for name in sorted(context.manifest.models)}
    return {"items": [_model(context, name, number) for name, number in counts.items()]}


async def get_model(request: Request, model: str, count: CountOption = None) -> Any:
    """A model with its schema and its settings."""
    context = context_of(request)
    spec = context.model(model)
    return {
        **_model(context, model, await _count(context, model, count)),
        "schema": spec.json_schema,
        "settings": _settings(context, "models", model, spec.data()),
        "source": _source(context, spec.entrypoint),
    }


async def _count(context: Context, model: str, count: str | None) -> int | None:
    if count is None:
        return None
    return await context.store.count(collection_of(model, context.manifest.models[model]))


def _model(context: Context, name: str, count: int | None) -> dict[str, Any]:
    spec: ModelSpec = context.manifest.models[name]
    having = _roles(context.compiler).get(name) or Roles()
    return {
        "name": name,
        "description": spec.description,
        "entrypoint": spec.entrypoint,
        "origin": spec.origin or "code",
        "collection": spec.collection_for(name),
        "key": spec.key or [],
        "indexes": spec.indexes or [],
        "tags": spec.tags or [],
        **{role: sorted(getattr(having, role)) for role in ("producers", "updaters", "writers", "consumers", "readers")},
        "count": count,
    }


# ---------------------------------------------------------------------------------------------------------- operations


def get_operations(request: Request) -> Any:
    """The operations: what goes in, and what comes out."""
    operations = context_of(request).manifest.operations
    return {"items": [_operation(name, spec) for name, spec in sorted(operations.items())]}


async def get_operation(request: Request, operation: str) -> Any:
    """An operation with its settings, its neighbours and its last runs."""
    context = context_of(request)
    spec = _named("operation", operation, context.manifest.operations)
    flow = context.compiler.dataflow
    return {
        **_operation(operation, spec),
        "settings": _settings(context, "operations", operation, spec.data()),
        "source": _source(context, spec.entrypoint),
        "upstream": flow.dependencies.get(operation, ()),
        "downstream": flow.dependents.get(operation, ()),
        "models_in": sorted(spec.models_in or ()),
        "models_out": sorted(spec.models_out or ()),
        "last_runs": await _last_runs(context, operation),
    }


def _operation(name: str, spec: OperationSpec) -> dict[str, Any]:
    return {
        "name": name,
        "flow": parents(name)[-1] if parents(name) else None,
        "description": spec.description,
        "entrypoint": spec.entrypoint,
        "origin": spec.origin or "code",
        "orphaned": bool(spec.orphaned),
        "async": spec.is_async,
        "tags": spec.tags or [],
        "parameters": [
            {
                "name": parameter,
                "schema": said.json_schema,
                "required": said.required,
                "default": said.default,
                "description": said.description,
                "targets": [f"{name}.{parameter}"],
            }
            for parameter, said in spec.parameters.items()
        ],
        "inputs": [
            {
                "parameter": parameter,
                "model": given.model,
                "mode": given.mode and given.mode.value,
                "from": given.sources or [],
                "many": bool(given.many),
                "optional": bool(given.optional),
            }
            for parameter, given in spec.inputs.items()
        ],
        "outputs": [{"model": o.model, "many": bool(o.many), "optional": bool(o.optional)} for o in spec.outputs],
    }


async def _last_runs(context: Context, operation: str) -> list[dict[str, Any]]:
    runs = [run for run in await list_runs(context.store, limit=_LATEST) if operation in run.operations]
    rows = await load(context.store, STEPS, [step_id(run.id, operation) for run in runs[:_LAST]])
    steps = {row.data["run"]: StepRecord.of(row.data) for row in rows}
    return [
        {
            "run": run.id,
            "flow": run.flow,
            "state": (step := steps.get(run.id) or StepRecord(operation, "")).state.value,
            "started": step.started,
            "finished": step.finished,
            "error": step.error,
        }
        for run in runs[:_LAST]
    ]


# --------------------------------------------------------------------------------------------------------------- flows


def get_flows(request: Request) -> Any:
    """The flows: the nodes of the hierarchy, those of standalone operations, and `pipeline`."""
    context = context_of(request)
    return {"items": [_flow(context, flow) for flow in _flows(context.compiler).values()]}


def get_flow(request: Request, flow: str) -> Any:
    """A flow with all that the manifest says about it."""
    context = context_of(request)
    found = _named("flow", flow, _flows(context.compiler))
    said = context.manifest.flows.get(flow)
    return {
        **_flow(context, found),
        "settings": masked(said.data()) if said else {},
        "dependencies": {operation: list(before) for operation, before in found.dependencies.items()},
    }


def _flow(context: Context, flow: FlowDefinition) -> dict[str, Any]:
    said = context.manifest.flows.get(flow.name)
    node = _hierarchy(context.compiler).flows.get(flow.name)
    return {
        "name": flow.name,
        "description": said and said.description,
        "standalone": flow.standalone,
        "flows": [child.name for child in node.flows] if node else [],
        "operations": flow.operations,
        "parameters": [
            {
                "name": parameter.name,
                "schema": dict(parameter.schema),
                "required": parameter.required,
                "default": None if parameter.required else parameter.default,
                "description": parameter.description,
                "targets": [".".join(target) for target in parameter.targets],
            }
            for parameter in flow.parameters
        ],
        "tags": (said and said.tags) or [],
        "schedule": said.schedule.data() if said and said.schedule else None,
        "deployment": f"{flow.name}/{_deployment(context)}" if flow.operations else None,
    }


def _deployment(context: Context) -> str:
    name = context.manifest.project.name
    environment = context.project and context.project.environment
    return f"{name}.{environment}" if environment else name


# ------------------------------------------------------------------------------------------------------------ services


def get_services(request: Request) -> Any:
    """The services as the manifest has them; what its references stand for is never told."""
    services = context_of(request).manifest.services
    return {"items": [_service(name, spec.data()) for name, spec in sorted(services.items())]}


def get_service(request: Request, service: str) -> Any:
    """A service as the manifest has it; what its references stand for is never told."""
    return _service(service, _named("service", service, context_of(request).manifest.services).data())


def _service(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    states = variable_states({"services": {name: settings}}, os.environ)
    return {"name": name, "settings": masked(dict(settings)), "variables": states}


# ------------------------------------------------------------------------------------------------- what several need


def _named(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    """The one of this name.

    Raises:
        Problem: 404, with the nearest name.
    """
    if name not in known:
        raise Problem(404, f"there is no such {kind}: {name}", hint=did_you_mean(name, known))
    return known[name]


def _settings(context: Context, section: str, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that an entry has, and who says each of them."""
    document = context.document
    base = (base_of(document.data, section, name) if document else None) or {}
    # Without the file, nothing is known of what the decorators said.
    by_hand = document is not None and entry.get("origin") == "manifest"
    found: dict[str, Any] = {}
    for key in SETTINGS[section]:
        if key in entry:
            overlaid = isinstance(document, OverlaidDocument) and document.overlaid.says((section, name, key)) is not None
            edited = by_hand or (document is not None and not same(entry[key], base.get(key, MISSING)))
            found[key] = {"value": entry[key], "owner": "environment" if overlaid else _OWNERS[edited]}
    return found


def _source(context: Context, entrypoint: str | None) -> shapes.SourcePlace | None:
    return source_place(context.project.root, entrypoint) if context.project and entrypoint else None


# A context keeps its compiler, and a newer lock makes another: what follows from the manifest alone is found out once.


@functools.lru_cache(maxsize=4)
def _flows(compiler: OrchestrationCompiler) -> dict[str, FlowDefinition]:
    return {flow.name: flow for flow in compiler.compile().flows}


@functools.lru_cache(maxsize=4)
def _roles(compiler: OrchestrationCompiler) -> dict[str, Roles]:
    return roles(compiler.manifest.live_operations)


@functools.lru_cache(maxsize=4)
def _hierarchy(compiler: OrchestrationCompiler) -> Hierarchy:
    return hierarchy(compiler.dataflow.operations)
