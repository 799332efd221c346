"""The engine behind `pulpo run --engine prefect`: text generated and run on Prefect, called as the inline engine is."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect import State as PrefectState
from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings

from pulpo.compile.artifacts import artifacts, write
from pulpo.compile.codegen import PrefectCodeGenerator
from pulpo.compile.deployment import ORCHESTRATION
from pulpo.compile.flow import FlowDefinition
from pulpo.compile.identifiers import parameter_names
from pulpo.compile.orchestration import OrchestrationCompiler
from pulpo.declare.entrypoint import resolve
from pulpo.errors import UsageError
from pulpo.manifest.model import Manifest, ModelSpec
from pulpo.run.collector import rare_collections
from pulpo.run.events import Listener
from pulpo.run.failure import describe
from pulpo.run.inputs import InputChoice
from pulpo.run.plan import Asked, Plan, prepare
from pulpo.run.prefect.plans import ENGINE, LAUNCHED, Planned
from pulpo.run.prefect.project import NO_SERVER, data_of_temporary_server, has_server
from pulpo.run.prefect.server import configured, connected
from pulpo.run.prefect.tagged import tagged
from pulpo.run.prefect.task_runners import check
from pulpo.run.prefect.text import home_of
from pulpo.run.record import RunRecord, State
from pulpo.settings import chosen_ports
from pulpo.store.base import Store

#: The package that generated modules import each other from.
PACKAGE = ORCHESTRATION.replace("/", ".")


class PrefectEngine:
    """Runs flows of one project; what `pulpo compile` makes is made first, in the directory `cache`."""

    def __init__(
        self,
        manifest: Manifest,
        cache: Path,
        *,
        environment: str | None = None,
        talk: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`environment` is the one that is merged into the manifest, if one; `talk` is told that there is a wait for a server."""
        self._environment = environment
        self._manifest = manifest
        self._cache = cache
        self._compiler = OrchestrationCompiler(manifest)
        self._talk = talk

    async def execute(
        self,
        flow: FlowDefinition,
        *,
        models: Mapping[str, ModelSpec],
        store: Store,
        parameters: Mapping[str, object] | None = None,
        inputs: Mapping[str, InputChoice] | None = None,
        selection: tuple[str, ...] | None = None,
        resume: str | None = None,
        on_event: Listener | None = None,
    ) -> RunRecord:
        """Runs a flow, or a part of it, as `pulpo.run.inline.execute` does and with the same answers.

        A part runs in the smallest flow of the text that holds it. In Prefect nothing is begun that can't start as asked.

        Raises:
            UsageError: Also where the text can't be written or imported.
        """
        with connected(self._manifest, ports=chosen_ports(self._cache), running=True):
            return await self._execute(
                flow, Asked(parameters or {}, inputs or {}), store, on_event, models=models, selection=selection, resume=resume
            )

    async def _execute(
        self,
        flow: FlowDefinition,
        asked: Asked,
        store: Store,
        on_event: Listener | None,
        **settings: Any,
    ) -> RunRecord:
        home = home_of(flow, self._compiler)
        generator = PrefectCodeGenerator(self._manifest, self._compiler)
        write(self._cache, artifacts(generator, environment=self._environment))
        check(self._manifest.flows, flow.operations)
        found = _flow(generator.entrypoint(home))
        with rare_collections():
            plan = await prepare(flow, asked, store=store, engine=ENGINE, on_event=on_event, **settings)
            this = Planned(plan, store, self._compiler, on_event)
            server: dict[Any, Any] = {}
            if not has_server():
                self._talk(NO_SERVER)
                server[PREFECT_SERVER_DATABASE_CONNECTION_URL] = data_of_temporary_server()
            entry = self._manifest.flows.get(home)
            with temporary_settings(server), tagged((entry.tags or ()) if entry is not None else ()):
                return await _launch(found, self._parameters(home, plan), this)

    def _parameters(self, home: str, plan: Plan) -> dict[str, object]:
        """What Prefect shows as the flow run's parameters; each step's come from the plan."""
        flow = self._compiler.flow(home)
        names = parameter_names(flow)
        given = {(o, n): value for o, ready in plan.ready.items() for n, value in ready.parameters.items()}
        asked = plan.record.parameters
        values = {}
        for parameter in flow.parameters:
            if parameter.name in asked:
                values[names[parameter.name]] = asked[parameter.name]
            elif parameter.required:
                values[names[parameter.name]] = next((given[target] for target in parameter.targets if target in given), None)
        return values


async def _launch(flow: Flow[..., Any], parameters: Mapping[str, object], this: Planned) -> RunRecord:
    token = LAUNCHED.set(this)
    try:
        named: Any = flow.with_options(flow_run_name=this.plan.record.id, validate_parameters=False)
        state: PrefectState[Any] = await named(**parameters, return_state=True)
    except Exception as error:
        raise this.error or _unreachable(error) from error
    finally:
        LAUNCHED.reset(token)
    if this.error is not None:
        raise this.error
    if this.record is None:
        if state.is_cancelled():
            raise asyncio.CancelledError
        await state.result()  # raises what kept it from starting
        raise UsageError(f"Prefect did not run the flow {flow.name}: {state.message or state.name}")
    if this.record.state is State.CANCELLED:
        raise asyncio.CancelledError
    return this.record


def _unreachable(error: Exception) -> UsageError:
    url = configured()
    where = f"the Prefect server at {url}" if url else "Prefect's own server"
    return UsageError(f"{where} can't be used: {describe(error)}", hint="start it, or take away what names it")


def _flow(entrypoint: str) -> Flow[..., Any]:
    """The generated flow at a place such as `scraping_flow.py:scraping_flow`, its module imported anew.

    Raises:
        UsageError: It can't be imported.
    """
    file, _, function = entrypoint.partition(":")
    top = PACKAGE.partition(".")[0]
    for loaded in [module for module in sys.modules if module.partition(".")[0] == top]:
        del sys.modules[loaded]
    importlib.invalidate_caches()
    found: Flow[..., Any] = resolve(f"{PACKAGE}.{file.removesuffix('.py')}:{function}")
    return found
