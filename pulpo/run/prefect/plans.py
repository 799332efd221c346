"""What a run needs before it begins: planned by `pulpo run`, or here where a flow is run by itself or by a worker."""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import os
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from pulpo.compile.deployment import ORCHESTRATION
from pulpo.compile.flow import REQUIRED, FlowDefinition
from pulpo.compile.identifiers import parameter_names
from pulpo.compile.literals import py
from pulpo.compile.orchestration import OrchestrationCompiler
from pulpo.errors import UsageError
from pulpo.manifest.load import load
from pulpo.run.collector import rare_collections
from pulpo.run.events import Listener
from pulpo.run.history import list_runs
from pulpo.run.plan import Asked, Plan, prepare
from pulpo.run.prefect.project import root_of
from pulpo.run.prefect.text import Text, check
from pulpo.run.record import RUNS, RunRecord, State
from pulpo.run.signals import ended_like_interrupted
from pulpo.settings import Project
from pulpo.store.base import Record, Store
from pulpo.store.open import project_store
from pulpo.store.values import now

ENGINE = "prefect"


@dataclass(slots=True)
class Planned:
    """A run that can begin, and what came of it."""

    plan: Plan
    store: Store
    compiler: OrchestrationCompiler
    on_event: Listener | None = None
    record: RunRecord | None = None
    error: BaseException | None = None


#: The run that `pulpo run` has planned.
LAUNCHED: contextvars.ContextVar[Planned | None] = contextvars.ContextVar("pulpo_launched", default=None)


@contextlib.asynccontextmanager
async def planned(flow: Flow[..., Any], parameters: Mapping[str, object], text: Text) -> AsyncIterator[Planned]:
    """The run of a flow with its open store; its text is compared with the lock.

    Raises:
        PulpoError: It can't start.
    """
    context = FlowRunContext.get()
    flow_run = context.flow_run if context else None
    launched = LAUNCHED.get()
    if launched is not None:
        check(flow.name, text, launched.compiler)
        launched.plan = _shown_by(flow_run, launched.plan)
        yield launched
        return
    project = Project(root_of(flow.fn.__code__.co_filename), environment=os.environ.get("PULPO_ENV") or None)
    with rare_collections():
        kept = project.cache / "lock.json"
        manifest, document = load(project.lock_path, file=project.lock_shown, environment=project.environment, kept=kept)
        compiler = OrchestrationCompiler(manifest)
        check(flow.name, text, compiler)
        definition = compiler.flow(flow.name)
        _check_parameters(flow, definition)
    async with project_store(project, manifest, locate=document.locate) as store:
        with ended_like_interrupted(), rare_collections():
            asked = Asked(_asked(definition, parameters), {})
            resume = await _tried_before(store, flow_run)
            plan = await prepare(definition, asked, models=manifest.models, store=store, resume=resume, engine=ENGINE)
            yield Planned(_shown_by(flow_run, plan), store, compiler)


def _shown_by(flow_run: FlowRun | None, plan: Plan) -> Plan:
    """The plan, its run with the id of Prefect's."""
    return plan if flow_run is None else replace(plan, record=replace(plan.record, flow_run=str(flow_run.id)))


async def _tried_before(store: Store, flow_run: FlowRun | None) -> str | None:
    """The run to go on with where Prefect starts a flow run again: retried by somebody, or its worker is gone."""
    if flow_run is None or flow_run.run_count < 2:  # noqa: PLR2004 - this try is the first
        return None
    runs = await list_runs(store, flow_run=str(flow_run.id), limit=1)
    if not runs:
        return None
    if runs[0].state is State.RUNNING and runs[0].process and runs[0].process.host != socket.gethostname():
        # Nothing is known of another machine's processes, but Prefect gave the flow run up there before it gave it to us.
        over = replace(runs[0], state=State.FAILED, finished=now(), error="Prefect started the flow run again elsewhere")
        await store.upsert_many(RUNS, [Record(over.id, over.data(), run=over.id)])
    return runs[0].id


def _check_parameters(flow: Flow[..., Any], definition: FlowDefinition) -> None:
    """Refuses defaults that the lock has changed: Prefect has put the text's in where nothing was given."""
    names = parameter_names(definition)
    declared = {names[p.name]: p.default for p in definition.parameters}
    written = {n: REQUIRED if p.default is p.empty else p.default for n, p in inspect.signature(flow.fn).parameters.items()}
    for name in sorted({*declared, *written}):
        if name not in declared or name not in written or py(declared[name]) != py(written[name]):
            raise UsageError(
                f"the text of the flow {flow.name} in {ORCHESTRATION} is older than the lock: its parameter {name}",
                hint="run `pulpo compile`",
            )


def _asked(flow: FlowDefinition, given: Mapping[str, object]) -> dict[str, object]:
    """The parameters that differ from their defaults: Prefect does not tell which were given."""
    names = parameter_names(flow)
    known = {p.name: given.get(names[p.name], REQUIRED) for p in flow.parameters}
    defaults = {p.name: p.default for p in flow.parameters}
    return {name: value for name, value in known.items() if value is not REQUIRED and not _same(value, defaults[name])}


def _same(a: object, b: object) -> bool:
    return type(a) is type(b) and a == b  # 1 == True in Python, but not as a parameter
