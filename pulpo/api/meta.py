"""`/models`, `/operations` and `/flows`: what the manifest says, and what follows from it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request

from pulpo.api import shapes
from pulpo.api.context import Context, context_of
from pulpo.api.parameters import known_alone
from pulpo.api.problems import Problem
from pulpo.api.query import operators
from pulpo.api.queued import anchors
from pulpo.api.source import source_place
from pulpo.codes.credentials import masked
from pulpo.graph.hierarchy import Hierarchy, hierarchy
from pulpo.graph.roles import Roles, roles
from pulpo.lock.changes import MISSING
from pulpo.lock.declared import base_of
from pulpo.lock.merge import SETTINGS
from pulpo.manifest.equality import same
from pulpo.manifest.model import Mode
from pulpo.manifest.next_times import next_times
from pulpo.manifest.overlay import OverlaidDocument
from pulpo.names import did_you_mean, parents
from pulpo.run.codec import collection_of
from pulpo.run.history import list_runs, load
from pulpo.run.record import STEPS, RunRecord, StepRecord, step_id
from pulpo.store.values import now

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from pulpo.api.fields import Fields
    from pulpo.compile.flow import FlowDefinition
    from pulpo.compile.orchestration import OrchestrationCompiler
    from pulpo.manifest.model import ModelSpec, OperationSpec

LastOption = Annotated[bool, Query(description="Say how each fared last.")]
CountOption = Annotated[Literal["exact"] | None, Query(description="Say how many records are stored.")]

#: How many of an operation's runs are told, and among how many of the latest they are looked for.
_LAST, _LATEST = 5, 50
#: Among how many of the latest runs the last ones of all operations and flows are looked for.
_LATEST_OF_ALL = 200
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
        "body": context.resource(model).json_schema,
        "fields": _fields(context.resource(model).fields),
        "settings": _settings(context, "models", model, spec.data()),
        "source": _source(context, spec.entrypoint),
    }


def _fields(fields: Fields) -> list[dict[str, Any]]:
    searched = fields.texts()
    return [
        {
            "name": field.name,
            "kinds": sorted(field.kinds),
            "choices": field.choices and list(field.choices),
            "operators": operators(field),
            "sortable": bool(field.plain) and not field.is_list,
            "searched": field.name in searched,
        }
        for field in fields.listed()
    ]


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


async def get_operations(request: Request, last: LastOption = False) -> Any:
    """The operations: what goes in, and what comes out."""
    context = context_of(request)
    runs = await _last_of_operations(context) if last else {}
    return {
        "items": [
            {**_operation(name, spec), "last_run": runs.get(name)} for name, spec in sorted(context.manifest.operations.items())
        ]
    }


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
        "last_runs": (runs := await _last_runs(context, operation)),
        "last_run": runs[0] if runs else None,
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
    return await _fared(context, [(run, operation) for run in runs[:_LAST]])


async def _last_of_operations(context: Context) -> dict[str, dict[str, Any]]:
    latest: dict[str, RunRecord] = {}
    for run in await list_runs(context.store, limit=_LATEST_OF_ALL):
        for operation in run.operations:
            latest.setdefault(operation, run)
    wanted = [(run, operation) for operation, run in latest.items()]
    return {operation: told for (_, operation), told in zip(wanted, await _fared(context, wanted), strict=True)}


async def _fared(context: Context, wanted: Sequence[tuple[RunRecord, str]]) -> list[dict[str, Any]]:
    """How operations fared in runs, in their order."""
    rows = await load(context.store, STEPS, [step_id(run.id, operation) for run, operation in wanted])
    steps = {(row.data["run"], row.data["operation"]): StepRecord.of(row.data) for row in rows}
    return [_told(run, run.judged(steps.get((run.id, operation)) or StepRecord(operation, ""))) for run, operation in wanted]


def _told(run: RunRecord, fared: StepRecord | RunRecord) -> dict[str, Any]:
    told = {name: getattr(fared, name) for name in ("started", "finished", "error")}
    return {"run": run.id, "flow": run.flow, "state": fared.state.value, **told}


# --------------------------------------------------------------------------------------------------------------- flows


async def get_flows(request: Request, last: LastOption = False) -> Any:
    """The flows: the nodes of the hierarchy, those of standalone operations, and `pipeline`."""
    context = context_of(request)
    runs = await list_runs(context.store, limit=_LATEST_OF_ALL) if last else []
    latest = {run.flow: _told(run, run) for run in reversed(runs)}
    flows = _flows(context.compiler).values()
    counted = await _anchors(context, flows)
    return {"items": [{**_flow(context, flow, counted), "last_run": latest.get(flow.name)} for flow in flows]}


async def get_flow(request: Request, flow: str) -> Any:
    """A flow with all that the manifest says about it."""
    context = context_of(request)
    found = _named("flow", flow, _flows(context.compiler))
    said = context.manifest.flows.get(flow)
    last = await list_runs(context.store, flow=flow, limit=1)
    return {
        **_flow(context, found, await _anchors(context, [found])),
        "last_run": _told(last[0], last[0]) if last else None,
        "inputs": _inputs(found),
        "settings": masked(said.data()) if said else {},
        "dependencies": {operation: list(before) for operation, before in found.dependencies.items()},
    }


async def _anchors(context: Context, flows: Iterable[FlowDefinition]) -> dict[str, dt.datetime]:
    """What the flows' intervals count from, by the names of their deployments: only Prefect knows it."""
    said = {flow: settings.schedule for flow, settings in context.manifest.flows.items()}
    found = [(flow, said.get(flow.name)) for flow in flows if flow.operations]
    wanted = [_deployment(context, flow) for flow, schedule in found if schedule and schedule.interval and not schedule.paused]
    return await anchors(context, wanted)


def _flow(context: Context, flow: FlowDefinition, counted: Mapping[str, dt.datetime]) -> dict[str, Any]:
    said = context.manifest.flows.get(flow.name)
    deployment = _deployment(context, flow)
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
        "next": next_times(said.schedule, now(), anchor=counted.get(deployment)) if said and said.schedule else (),
        "deployment": deployment if flow.operations else None,
    }


def _inputs(flow: FlowDefinition) -> list[dict[str, Any]]:
    taken = [(argument.model, step.operation, argument) for step in flow.steps() for argument in step.arguments]
    found: dict[str, dict[str, Any]] = {}
    for model, operation, argument in sorted(taken, key=lambda one: one[:2]):
        one = found.setdefault(model, {"model": model, "arguments": [], "outside": False})
        one["arguments"].append(f"{operation}.{argument.name}")
        one["outside"] |= argument.from_outside and argument.mode is not Mode.PREVIOUS
    return list(found.values())


def _deployment(context: Context, flow: FlowDefinition) -> str:
    name = context.manifest.project.name
    environment = context.project and context.project.environment
    return f"{flow.name}/{name}{f'.{environment}' if environment else ''}"


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
