"""The services around a pipeline as they will run: everything decided, nothing left to look up.

A service runs as a process of this machine or as a container; what is said here holds for both. What differs, where a service
listens and how others reach it, is in `Link`s, which a driver fills with the hosts and ports of its own world.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

from pulpo.compile.said import said_of
from pulpo.diagnostics import errors
from pulpo.errors import DiagnosticsError
from pulpo.manifest.addresses import BUILT_IN, kind_of, ports_of, written_ports
from pulpo.manifest.needs import in_order, needs_of
from pulpo.manifest.references import references_in
from pulpo.manifest.service_rules import GUARDED, asks_for_token, service_problems

if TYPE_CHECKING:
    from pulpo.manifest.addresses import Port
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.service import ServiceSpec


class Role(StrEnum):
    """What a service is to the project."""

    DB = "db"
    PREFECT = "prefect"
    WORKER = "worker"
    API = "api"
    UI = "ui"
    #: One of the user's own.
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Probe:
    """When a service is ready. Ports are the service's own, those on the right side of `ports`."""

    kind: Literal["http", "tcp", "command", "log"]
    path: str = "/"
    port: int | None = None
    command: tuple[str, ...] = ()
    #: A regular expression that a line of its log matches somewhere.
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """An environment variable that holds the address of a service.

    `text` has the fields `{host}` and `{port}`. Of the service itself they are what it listens on (in a container `0.0.0.0`),
    of another one where it is reached.
    """

    variable: str
    service: str
    text: str


@dataclass(frozen=True, slots=True)
class Mount:
    """What is mounted: a volume by name, or a file or directory of the project where the source begins with `.` or `/`."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """A service that another one needs: ready before it starts, or only started."""

    service: str
    ready: bool = True


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """A service that runs, or that is elsewhere. Texts may hold references to environment variables, as the manifest has them."""

    name: str
    role: Role
    #: `process`: Pulpo runs it. `embedded`: it is a file, nothing runs. `elsewhere`: somebody else runs it, at `uri`.
    kind: Literal["process", "embedded", "elsewhere"] = "process"
    uri: str | None = None
    #: The image that it runs from in a container; None is the project's own image.
    image: str | None = None
    #: What runs, in the project's directory: `pulpo …` and `python …` mean the project's interpreter. None is the image's own
    #: command, and of a database the local `mongod`.
    command: tuple[str, ...] | None = None
    #: As the manifest says it.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Put into the environment where `environment` does not say the variable; sorted by variable.
    links: tuple[Link, ...] = ()
    #: Variables that it is given as they are where it is started, and not where they are not set there; sorted. As a process it
    #: has them anyway.
    passed: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    mounts: tuple[Mount, ...] = ()
    #: Sorted by name. Without services that are embedded or elsewhere: nobody waits for them.
    needs: tuple[Needs, ...] = ()
    probe: Probe | None = None
    #: Seconds in which it has to be ready.
    ready_timeout: float = 60
    restart: Literal["always", "on-failure", "no"] = "on-failure"
    #: Seconds between being asked to end and being killed.
    grace: float = 10
    replicas: int = 1
    cpus: float | None = None
    #: As Docker writes it: `512m`, `2g`.
    memory: str | None = None
    #: What the manifest says of it, for people; see `pulpo.compile.said`.
    said: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Topology:
    """All services of a project that are enabled, sorted so that each comes after those that it needs, and by name."""

    project: str
    environment: str | None
    services: tuple[ServiceDefinition, ...]


#: The image of a database that says none.
MONGO_IMAGE: Final = "mongo:8"
#: Prefect reports nothing, nor do the programs that heed the second one.
_SILENT: Final = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
_READY_TIMEOUT: Final = 60.0


@dataclass(frozen=True, slots=True)
class _BuiltIn:
    """What a service that comes with Pulpo is where its entry does not say otherwise."""

    command: tuple[str, ...] | None
    grace: float
    probe: Probe | None = None
    #: The variables that say where it listens: host and port.
    listens: tuple[str, str] | None = None
    mounts: tuple[Mount, ...] = ()
    ready_timeout: float = _READY_TIMEOUT


_BUILT_IN: Final = {
    Role.DB: _BuiltIn(None, 30, Probe("tcp"), mounts=(Mount("db_data", "/data/db"),)),
    Role.PREFECT: _BuiltIn(
        ("python", "-m", "prefect", "server", "start"),
        15,
        # Not /api/health, which answers half a second before anything else does.
        Probe("http", "/api/ready"),
        ("PREFECT_SERVER_API_HOST", "PREFECT_SERVER_API_PORT"),
        ready_timeout=120,
    ),
    Role.WORKER: _BuiltIn(("pulpo", "prefect", "worker"), 30, Probe("log", pattern="the worker is ready"), ready_timeout=120),
    # Quiet: its log is JSON, all of it.
    Role.API: _BuiltIn(("pulpo", "-q", "api", "serve"), 20, Probe("http", "/health/ready"), ("PULPO_API_HOST", "PULPO_API_PORT")),
    Role.UI: _BuiltIn(("pulpo", "-q", "ui", "serve"), 10, Probe("http", "/health"), ("PULPO_UI_HOST", "PULPO_UI_PORT")),
}
_OWN: Final = _BuiltIn(None, 10)
#: Programs that a command begins with where it runs from the project.
_PROGRAMS: Final = ("pulpo", "python")


def topology(
    manifest: Manifest, *, environment: str | None = None, environ: Mapping[str, str] | None = None, written: bool = False
) -> Topology:
    """The services of a manifest as they will run; the same whatever the order of its entries.

    Args:
        manifest: As the environment has it that is worked in.
        environment: That environment's name.
        environ: The environment variables that references in `ports` stand for; by default those of this process. All other
            references stay.
        written: Leave those in `ports` as they are, too (see `written_ports`).

    Raises:
        DiagnosticsError: Services break a rule (see `pulpo.manifest.service_rules`), or `ports` refer to variables that are not
            set (PLP217).
    """
    values = os.environ if environ is None else environ
    if found := errors(service_problems(manifest, None if written else values)):
        raise DiagnosticsError(found)
    read = written_ports if written else ports_of
    ports = {name: read(name, manifest.services[name], values) for name in needs_of(manifest)}
    plan = _Plan(manifest, environment, ports)
    needs = needs_of(manifest)
    others: dict[str, dict[str, bool]] = {
        name: {} for name, spec in manifest.services.items() if spec.enabled is not False and name not in needs
    }
    return Topology(manifest.project.name, environment, tuple(map(plan.service, in_order({**needs, **others}))))


def image_of(name: str, spec: ServiceSpec) -> str | None:
    """The image that a service runs from in a container; None is the project's own."""
    return spec.image or (MONGO_IMAGE if name == Role.DB else None)


def command_of(name: str, spec: ServiceSpec) -> tuple[str, ...] | None:
    """What a service runs, as in `ServiceDefinition.command`."""
    return tuple(spec.command) if spec.command else default_command(name)


def default_command(name: str) -> tuple[str, ...] | None:
    """What a service runs whose entry does not say it."""
    return _BUILT_IN.get(_role(name), _OWN).command


class _Plan:
    """Decides services one by one."""

    def __init__(self, manifest: Manifest, environment: str | None, ports: Mapping[str, tuple[Port, ...]]) -> None:
        self._manifest = manifest
        self._environment = environment
        self._needs = needs_of(manifest)
        self._ports = ports
        self._variables = _variables_of_runs(manifest)

    def service(self, name: str) -> ServiceDefinition:
        """The service of that name."""
        spec, role = self._manifest.services[name], _role(name)
        kind = kind_of(name, spec)
        if kind != "process":
            return ServiceDefinition(name, role, kind, uri=spec.uri)
        default = _BUILT_IN.get(role, _OWN)
        resources = spec.resources
        environment = self._variables_of(name, spec)
        links = tuple(sorted(self._links(name, spec), key=lambda link: link.variable))
        return ServiceDefinition(
            name,
            role,
            image=image_of(name, spec),
            command=command_of(name, spec),
            environment=environment,
            links=links,
            passed=self._variables if self._wants_services(name, spec) else (),
            ports=self._ports[name],
            mounts=_mounts(spec, default),
            needs=tuple(Needs(other, ready) for other, ready in self._needs[name].items()),
            probe=self._probe(name, spec, default),
            ready_timeout=(spec.probe.timeout if spec.probe else None) or default.ready_timeout,
            restart=spec.restart or ("on-failure" if role is Role.OWN else "always"),
            grace=default.grace if spec.grace is None else spec.grace,
            replicas=spec.replicas or 1,
            cpus=resources.cpus if resources else None,
            memory=resources.memory if resources else None,
            said=said_of(spec.data(), environment, [link for link in links if link.service != name], self._first_ports()),
        )

    def _first_ports(self) -> dict[str, str]:
        return {name: spec.ports[0] for name, spec in self._manifest.services.items() if spec.ports}

    def _wants_services(self, name: str, spec: ServiceSpec) -> bool:
        """Whether it wants to know where the other services are. The UI asks the API for all that it shows."""
        return self._is_of_project(name, spec) and name != Role.UI

    def _is_of_project(self, name: str, spec: ServiceSpec) -> bool:
        """Whether it runs from the project, by Pulpo or its interpreter."""
        if name in (Role.DB, Role.PREFECT):
            return False
        command = command_of(name, spec)
        return spec.image is None or (command is not None and command[0] in _PROGRAMS)

    def _variables_of(self, name: str, spec: ServiceSpec) -> dict[str, str]:
        variables: dict[str, str] = {}
        if self._is_of_project(name, spec) or name == Role.PREFECT:
            variables |= _SILENT
        if self._is_of_project(name, spec) and self._environment:
            variables["PULPO_ENV"] = self._environment
        if name == Role.UI:
            variables |= self._variables_of_ui()
        return dict(sorted({**variables, **(spec.environment or {})}.items()))

    def _variables_of_ui(self) -> dict[str, str]:
        """Where an API is that somebody else runs, and that it asks for a token, which the UI is not given."""
        api = self._manifest.services.get("api")
        elsewhere = {"PULPO_API_URL": api.uri} if api and api.uri and api.enabled is not False else {}
        return {**elsewhere, **({GUARDED: "true"} if asks_for_token(api) else {})}

    def _links(self, name: str, spec: ServiceSpec) -> Iterator[Link]:
        said = spec.environment or {}
        return (link for link in self._all_links(name, spec) if link.variable not in said)

    def _all_links(self, name: str, spec: ServiceSpec) -> Iterator[Link]:
        default = _BUILT_IN.get(_role(name), _OWN)
        if default.listens:
            host, port = default.listens
            yield from (Link(host, name, "{host}"), Link(port, name, "{port}"))
        if name == Role.UI and self._ports.get("api"):
            yield Link("PULPO_API_URL", "api", "http://{host}:{port}")
        if self._wants_services(name, spec):
            if self._ports.get("db"):
                yield Link("PULPO_DB_URI", "db", f"mongodb://{{host}}:{{port}}/{self._manifest.project.name}")
            if self._ports.get("prefect"):
                yield Link("PREFECT_API_URL", "prefect", "http://{host}:{port}/api")
        if _role(name) is Role.OWN:
            yield from self._own_links(name, spec)

    def _own_links(self, name: str, spec: ServiceSpec) -> Iterator[Link]:
        if self._ports[name]:
            yield from (Link("HOST", name, "{host}"), Link("PORT", name, "{port}"))
        for other in sorted(set(spec.depends_on or ())):
            if self._ports.get(other):
                prefix = other.upper().replace("-", "_")
                yield from (Link(f"{prefix}_HOST", other, "{host}"), Link(f"{prefix}_PORT", other, "{port}"))

    def _probe(self, name: str, spec: ServiceSpec, default: _BuiltIn) -> Probe | None:
        first = next((port.port for port in self._ports[name]), None)
        said = spec.probe
        if said and said.http is not None:
            return Probe("http", path=said.http, port=said.port or first)
        if said and said.tcp is not None:
            return Probe("tcp", port=said.tcp)
        if said and said.command:
            return Probe("command", command=tuple(said.command))
        if said and said.log is not None:
            return Probe("log", pattern=said.log)
        if default.probe:
            return replace(default.probe, port=first)
        return Probe("tcp", port=first) if first and _role(name) is Role.OWN else None


def _role(name: str) -> Role:
    return Role(name) if name in BUILT_IN else Role.OWN


def _variables_of_runs(manifest: Manifest) -> tuple[str, ...]:
    """The variables that the API and the worker have to know: those of flows, and of where services are."""
    data = {
        "flows": {name: spec.data() for name, spec in manifest.flows.items()},
        "services": {name: {"uri": spec.uri} for name, spec in manifest.services.items() if spec.uri is not None},
    }
    return tuple(sorted({reference.name for _, reference in references_in(data)}))


def _mounts(spec: ServiceSpec, default: _BuiltIn) -> tuple[Mount, ...]:
    said = tuple(map(_mount, spec.volumes or ()))
    targets = {mount.target for mount in said}
    return (*said, *(mount for mount in default.mounts if mount.target not in targets))


def _mount(text: str) -> Mount:
    source, _, target = text.partition(":")
    target, _, mode = target.partition(":")
    return Mount(source, target, read_only=mode == "ro")
