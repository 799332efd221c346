"""A deployment as data: what Prefect has to know to run a flow by itself, decided from the manifest alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from pulpo.compile.identifiers import parameter_names
from pulpo.compile.parameter_schema import parameter_schema
from pulpo.compile.work_pools import work_pool_name
from pulpo.manifest.flow import FlowSpec, WorkPoolSpec
from pulpo.names import upwards

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pulpo.compile.codegen import PrefectCodeGenerator
    from pulpo.compile.flow import FlowDefinition
    from pulpo.manifest.flow import ScheduleSpec
    from pulpo.manifest.model import Manifest

#: Where the flows are, from the project's root.
ORCHESTRATION = "run_cache/orchestration"
#: Where images have a project in which nothing else is said: Prefect's own choice.
_IN_IMAGE = "/opt/prefect"
_DIGITS = 12
#: The name that a schedule has within its deployment.
SCHEDULE_SLUG = "pulpo"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a deployment starts runs: exactly one of cron, interval and rrule is not None."""

    cron: str | None = None
    #: Seconds.
    interval: float | None = None
    rrule: str | None = None
    #: An IANA name; UTC where unset.
    timezone: str = "UTC"
    #: None where the manifest does not say it: what people do in Prefect then stands.
    paused: bool | None = None


@dataclass(frozen=True, slots=True)
class WorkPool:
    """Where workers find the runs of deployments."""

    name: str
    type: Literal["process", "docker", "kubernetes"]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A flow's deployment. What is None or empty is unset in the manifest, and so as Prefect has it by default."""

    #: The flow's name, which is also that of Prefect's flow.
    flow: str
    #: The project's name, with the environment behind a dot if there is one: `jobs`, `jobs.prod`.
    name: str
    #: Relative to the project's root: `run_cache/orchestration/scraping_flow.py:scraping_flow`.
    entrypoint: str
    work_pool: WorkPool
    #: Where the project lies on the worker's machine; None for where it lies here.
    directory: str | None = None
    work_queue: str | None = None
    job_variables: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None
    #: Sorted: the flow's own, and `pulpo.project=NAME`, with an environment `pulpo.environment=NAME` as well.
    tags: tuple[str, ...] = ()
    #: By the name of the generated function's parameter.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: JSON Schema of the generated function's parameters, as Prefect's form wants it.
    parameter_schema: Mapping[str, Any] = field(default_factory=dict)
    schedule: Schedule | None = None
    #: How many runs may be going on at the same time.
    concurrency: int | None = None
    collision_strategy: Literal["enqueue", "cancel_new"] | None = None
    #: Digest of all of the above as the manifest has it: where Prefect has the same version and other fields, somebody changed
    #: them there.
    version: str = ""

    @property
    def full_name(self) -> str:
        """As Prefect's command line says it: `scraping/jobs`."""
        return f"{self.flow}/{self.name}"


def deployments(manifest: Manifest, generator: PrefectCodeGenerator, *, environment: str | None = None) -> tuple[Deployment, ...]:
    """The deployments of all flows, sorted by flow: roots, nested ones, standalones and the pipeline; none without operations.

    Args:
        manifest: Says what is set for the flows, with or without what its references stand for.
        generator: Made for the same manifest as the lock has it. Versions are of that, so they hold no trace of a secret, and
            are the same whether references are resolved or not.
        environment: The environment that is merged into the manifest, if one.
    """
    found = []
    for flow in generator.orchestration.flows:
        if not flow.operations:
            continue
        written = _deployment(generator.manifest, generator, flow, environment)
        now = written if manifest is generator.manifest else _deployment(manifest, generator, flow, environment)
        found.append(replace(now, version=_digest(written)))
    return tuple(sorted(found, key=lambda deployment: deployment.flow))


def work_pool_of(flows: Mapping[str, FlowSpec], name: str) -> WorkPoolSpec | None:
    """The work pool that holds for a flow: its own, or that of the nearest flow above it that says one; None where none does."""
    said = (flows[flow].work_pool for flow in upwards(name) if flow in flows)
    return next((pool for pool in said if pool is not None), None)


def marks(project: str, environment: str | None) -> tuple[str, ...]:
    """The tags that say of a thing in Prefect whose it is, sorted."""
    return (*((f"pulpo.environment={environment}",) if environment else ()), f"pulpo.project={project}")


def _deployment(manifest: Manifest, generator: PrefectCodeGenerator, flow: FlowDefinition, environment: str | None) -> Deployment:
    project = manifest.project.name
    said = manifest.flows.get(flow.name) or FlowSpec()
    pool = work_pool_of(manifest.flows, flow.name) or WorkPoolSpec()
    place, names = generator.layout.flow(flow), parameter_names(flow)
    job_variables = _job_variables(pool, environment)
    return Deployment(
        flow=flow.name,
        name=f"{project}.{environment}" if environment else project,
        entrypoint=f"{ORCHESTRATION}/{place.stem}.py:{place.function}",
        work_pool=WorkPool(work_pool_name(pool, project), pool.type),
        # The project does not lie in an image where it lies here.
        directory=pool.directory or (_IN_IMAGE if job_variables.get("image") else None),
        work_queue=pool.queue,
        job_variables=job_variables,
        description=said.description,
        tags=_tags(said.tags or (), project, environment),
        parameters={names.get(name, name): value for name, value in (said.parameters or {}).items()},
        parameter_schema=parameter_schema(flow),
        schedule=_schedule(said.schedule) if said.schedule else None,
        concurrency=said.concurrency,
        collision_strategy=said.collision_strategy if said.concurrency else None,
    )


def _job_variables(pool: WorkPoolSpec, environment: str | None) -> dict[str, Any]:
    found = dict(pool.job_variables or {})
    if environment:
        given = found.get("env")
        found["env"] = {**(given if isinstance(given, dict) else {}), "PULPO_ENV": environment}
    return found


def _tags(own: Sequence[str], project: str, environment: str | None) -> tuple[str, ...]:
    return tuple(sorted({*own, *marks(project, environment)}))


def _schedule(said: ScheduleSpec) -> Schedule:
    return Schedule(said.cron, said.interval, said.rrule, said.timezone or "UTC", said.paused)


def _digest(deployment: Deployment) -> str:
    text = json.dumps(asdict(deployment), sort_keys=True, ensure_ascii=False, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
