"""What a run needs before it begins: planned by `pulpo run`, or here where a flow is run by itself or by a worker."""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from prefect import Flow

from pulpo.compile.flow import REQUIRED, FlowDefinition
from pulpo.compile.identifiers import parameter_names
from pulpo.compile.orchestration import OrchestrationCompiler
from pulpo.manifest.load import load
from pulpo.run.collector import rare_collections
from pulpo.run.events import Listener
from pulpo.run.plan import Asked, Plan, prepare
from pulpo.run.prefect.project import root_of
from pulpo.run.prefect.text import Text, check
from pulpo.run.record import RunRecord
from pulpo.run.signals import ended_like_interrupted
from pulpo.settings import Project
from pulpo.store.base import Store
from pulpo.store.sqlite import SqliteStore

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
    launched = LAUNCHED.get()
    if launched is not None:
        check(flow.name, text, launched.compiler)
        yield launched
        return
    project = Project(root_of(flow.fn.__code__.co_filename), environment=os.environ.get("PULPO_ENV") or None)
    manifest, _ = load(project.lock_path, file=project.lock_shown, environment=project.environment)
    compiler = OrchestrationCompiler(manifest)
    check(flow.name, text, compiler)
    definition = compiler.flow(flow.name)
    async with SqliteStore(project.store_path) as store:
        with ended_like_interrupted(), rare_collections():
            asked = Asked(_asked(definition, parameters), {})
            plan = await prepare(definition, asked, models=manifest.models, store=store, engine=ENGINE)
            yield Planned(plan, store, compiler)


def _asked(flow: FlowDefinition, given: Mapping[str, object]) -> dict[str, object]:
    """The parameters that differ from their defaults: Prefect does not tell which were given."""
    names = parameter_names(flow)
    known = {p.name: given.get(names[p.name], REQUIRED) for p in flow.parameters}
    defaults = {p.name: p.default for p in flow.parameters}
    return {name: value for name, value in known.items() if value is not REQUIRED and not _same(value, defaults[name])}


def _same(a: object, b: object) -> bool:
    return type(a) is type(b) and a == b  # 1 == True in Python, but not as a parameter
