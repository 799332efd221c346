"""From the words of `pulpo prefect` to Prefect's server, and back."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pulpo.cli.running import importing_prefect
from pulpo.errors import UsageError
from pulpo.names import did_you_mean, lies_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from pulpo.apply.change import Change, Plan
    from pulpo.apply.prefect.api import HttpApi
    from pulpo.compile.codegen import PrefectCodeGenerator
    from pulpo.compile.deployment import Deployment
    from pulpo.compile.flow import FlowDefinition
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.run.prefect.deployed import Line
    from pulpo.run.start import Parameters
    from pulpo.settings import Project


#: The project's directory in its image.
CONTAINER_ROOT: Final = Path("/project")


@dataclass(frozen=True, slots=True)
class DeployResult:
    """What `pulpo prefect deploy` found and did."""

    #: The URL of the server's API.
    server: str
    plan: Plan
    done: tuple[Change, ...]
    #: Work pools without a worker that is online, sorted; none where nothing was to be changed.
    idle: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowRunResult:
    """A flow run that was asked for."""

    #: Prefect's id.
    id: str
    name: str
    #: As in `scraping/jobs`.
    deployment: str
    #: In Prefect's UI, if it has one.
    url: str | None
    #: The URL of the server's API.
    server: str
    work_pool: str | None
    parameters: Mapping[str, object] = field(default_factory=dict)
    #: Prefect's name of the state that it ended in; None where it was not watched.
    state: str | None = None
    message: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is known to have gone wrong."""
        return self.state in (None, "Completed")


def deploy_flows(
    project: Project,
    manifest: Manifest,
    document: Document,
    generator: PrefectCodeGenerator,
    flow: str | None = None,
    *,
    root: Path | None = None,
    check: bool = False,
    on_change: Callable[[Change], None] = lambda _: None,
) -> DeployResult:
    """Bring the deployments of a project in line with its manifest, or that of one flow; see `CLI.prefect_deploy`.

    `root` is the project's directory where its runs are made, unless that is the one of this machine.
    """
    if flow is not None:
        _require_flow(generator, flow)
    desired, secrets = desired_deployments(manifest, document, generator, flow, project.environment)
    from pulpo.apply.prefect import Scope, reconcile
    from pulpo.apply.prefect.workers import idle

    scope = Scope(manifest.project.name, project.environment, root or project.root, flow, secrets)

    async def work() -> DeployResult:
        async with connected(project, manifest, document) as api:
            plan = await reconcile(api, desired, scope, check=check, on_change=on_change)
            pools = [d.work_pool.name for d in desired if flow in (None, d.flow)]
            return DeployResult(api.url, plan, () if check else plan.changes, () if check else await idle(api, pools))

    return asyncio.run(work())


@contextlib.asynccontextmanager
async def connected(project: Project, manifest: Manifest, document: Document) -> AsyncIterator[HttpApi]:
    """The API of the Prefect server that a project talks to: asked as it is where Prefect's client would do the same.

    Raises:
        UsageError: There is none, it can't be reached, or Prefect is not installed.
    """
    from pulpo.apply.prefect.api import connect
    from pulpo.apply.prefect.direct import direct

    ports = project.chosen_ports
    async with direct(manifest, ports, os.environ) as api:
        if api is not None:
            yield api
            return
    with importing_prefect():
        from pulpo.run.prefect import server
    with server.connected(manifest, os.environ, document.locate, ports=ports) as url:
        async with server.client(server.required(url)), connect() as api:
            yield api


def serve_worker(project: Project, manifest: Manifest, document: Document, *, say: Callable[[str], None]) -> None:
    """Run a worker in this process until a signal ends it; see `CLI.prefect_worker`."""
    # The flow runs have what this process has, and each deployment says its own environment, or is of none.
    os.environ.pop("PULPO_ENV", None)
    # What the flow runs say is this process's log.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "INFO")
    with importing_prefect():
        from pulpo.run.prefect import worker

    worker.serve_worker(project, manifest, locate=document.locate, say=say)


def desired_deployments(
    manifest: Manifest, document: Document, generator: PrefectCodeGenerator, flow: str | None, environment: str | None
) -> tuple[Sequence[Deployment], frozenset[str]]:
    """The deployments with what references stand for, of `flow` at least, and those values."""
    from pulpo.compile.deployment import deployments
    from pulpo.manifest.filled import filled_flows

    meant = {name: spec for name, spec in manifest.flows.items() if flow is None or lies_in(flow, name)}
    flows, secrets = filled_flows(meant, os.environ, document.locate)
    filled = manifest.model_copy(update={"flows": {**manifest.flows, **flows}})
    return deployments(filled, generator, environment=environment), secrets


def _require_flow(generator: PrefectCodeGenerator, flow: str) -> FlowDefinition:
    names = generator.compiler.flow_names()
    if flow not in names and flow in generator.manifest.operations:
        hint = f"it is in the flow {flow.rpartition('.')[0]}; `pulpo run {flow}` runs it alone, here"
        raise UsageError(f"only flows are deployed, and this is an operation: {flow}", hint=hint)
    if flow not in names:
        raise UsageError(f"there is no such flow: {flow}", hint=did_you_mean(flow, names) or "`pulpo flows` lists the flows")
    return generator.compiler.flow(flow)


def run_deployed(
    project: Project,
    manifest: Manifest,
    document: Document,
    generator: PrefectCodeGenerator,
    flow: str,
    parameters: Parameters,
    *,
    watch: bool = False,
    on_start: Callable[[FlowRunResult, str | None], None] = lambda *_: None,
    on_line: Callable[[Line], None] = lambda _: None,
) -> FlowRunResult:
    """Ask for a run of a deployed flow; see `CLI.prefect_run`.

    `on_start` is given the work pool, too, if no worker is online in it.
    """
    definition = _require_flow(generator, flow)
    given = parameters(definition) if callable(parameters) else parameters
    full_name = f"{flow}/{manifest.project.name}{f'.{project.environment}' if project.environment else ''}"
    with importing_prefect():
        from pulpo.apply.prefect.api import through
        from pulpo.apply.prefect.workers import idle
        from pulpo.run.prefect import deployed, server

    async def work(url: str) -> FlowRunResult:
        async with server.client(url) as client:
            found = await deployed.find(client, full_name)
            if found is None:
                env = f" --env {project.environment}" if project.environment else ""
                raise UsageError(f"the flow is not deployed: {full_name}", hint=f"pulpo prefect deploy {flow}{env}")
            values = deployed.values_for(definition, given, found)
            run, where = await deployed.start(client, found, values)
            result = FlowRunResult(str(run.id), run.name, full_name, where, url, found.work_pool, given)
            alone = await idle(through(client), [found.work_pool] if found.work_pool else [])
            on_start(result, alone[0] if alone else None)
            if not watch:
                return result
            run = await deployed.watch(client, run, on_line)
            return replace(result, state=run.state.name if run.state else None, message=run.state.message if run.state else None)

    with server.connected(manifest, os.environ, document.locate, ports=project.chosen_ports) as url:
        return asyncio.run(work(server.required(url)))
