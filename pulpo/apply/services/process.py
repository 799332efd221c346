"""What a service of the topology is as a process of this machine: what runs, where it listens, when it is ready."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pulpo.apply.services.extras import check_installed
from pulpo.compile.topology import Link, Probe, Role, ServiceDefinition, default_command
from pulpo.errors import UsageError
from pulpo.manifest.addresses import AUTO, DEFAULT_PORTS, LOOPBACK, Port, reached_at
from pulpo.manifest.references import resolve
from pulpo.manifest.service_rules import GUARDED, TOKENS
from pulpo.services.prefect_data import data_in
from pulpo.services.probes import CommandProbe, HttpProbe, LogProbe, TcpProbe
from pulpo.services.spec import Address, LocalService

if TYPE_CHECKING:
    from pathlib import Path

    from pulpo.diagnostics import Locate
    from pulpo.services.probes import Probe as LocalProbe
    from pulpo.settings import Project

#: What the command of a service may begin with: the project's interpreter, or Pulpo in it.
_PYTHON: Final = ("python", "python3")
_PULPO: Final = "pulpo"
#: The variables of this process that go before what the manifest says, by how they begin.
_TOLD: Final = {Role.API: "PULPO_API_", Role.UI: "PULPO_UI_"}
_NEEDS_DOCKER: Final = "--mode docker runs it as a container"


def resolved(
    definition: ServiceDefinition, environ: Mapping[str, str], locate: Locate, environment: Mapping[str, str]
) -> ServiceDefinition:
    """The service with what its references stand for, and with `environment` laid over its own.

    What is said of the API and of the UI in the environment variables of this process goes before the manifest, too; where they
    listen is in their ports then.

    Raises:
        DiagnosticsError: Variables are not set that it refers to; all of them.
    """
    probe = definition.probe
    data: dict[str, Any] = {
        "command": list(definition.command or ()),
        "environment": dict(definition.environment),
        "probe": {"command": list(probe.command), "path": probe.path} if probe else {},
    }
    data = resolve({"services": {definition.name: data}}, environ, locate).data["services"][definition.name]
    if probe is not None:
        probe = replace(probe, command=tuple(data["probe"]["command"]), path=data["probe"]["path"])
    found = replace(definition, command=tuple(data["command"]) or None, environment=data["environment"], probe=probe)
    if prefix := _TOLD.get(definition.role):
        environment = {**{n: v for n, v in environ.items() if n.startswith(prefix) and v}, **environment}
    if definition.role is Role.UI and any(environ.get(name) for name in TOKENS):
        environment = {GUARDED: "true", **environment}
    found = replace(found, environment={**found.environment, **environment})
    return _listening(found, prefix) if prefix else found


def _listening(service: ServiceDefinition, prefix: str) -> ServiceDefinition:
    """The service with the host and port of its environment as its port; what makes no sense is left for it to refuse."""
    environment, host_variable, port_variable = dict(service.environment), f"{prefix}HOST", f"{prefix}PORT"
    default = DEFAULT_PORTS[service.name]
    first, *others = service.ports or (Port(default, default),)
    if (port := environment.get(port_variable, "")).isdecimal() or port == AUTO:
        first = replace(first, outer=None if port == AUTO else int(port))
        del environment[port_variable]
    if host := environment.pop(host_variable, None):
        first = replace(first, address=LOOPBACK if host == "localhost" else host)
    links = (*service.links, Link(host_variable, service.name, "{host}"), Link(port_variable, service.name, "{port}"))
    return replace(service, environment=environment, ports=(first, *others), links=links)


def as_process(
    definition: ServiceDefinition, project: Project, addresses: Mapping[str, Sequence[Address]], environ: Mapping[str, str]
) -> LocalService:
    """The process that the service is.

    Args:
        definition: The service, its references resolved.
        project: Where it runs.
        addresses: Where services listen, by name: of this one, and of those that it links to; in the order of their ports.
        environ: The environment variables of this process, which it inherits.
    """
    own = tuple(addresses.get(definition.name, ()))
    environment = {**_base(definition, project, environ), **_links(definition, addresses), **definition.environment}
    return LocalService(
        definition.name,
        _command(definition, project, own),
        str(project.root),
        environment=environment,
        probe=_probe(definition, own),
        addresses=own,
        restart=definition.restart,
        ready_timeout=definition.ready_timeout,
        grace=definition.grace,
        said=definition.said,
    )


def check_runnable(definitions: Sequence[ServiceDefinition]) -> None:
    """Raise unless there is something on this machine that runs them.

    Raises:
        UsageError: A program or packages are not there, or one is an image that nothing but a container runs.
    """
    for definition in definitions:
        if definition.command is None:
            _check_program(definition)
    check_installed(d.name for d in definitions if d.command is not None and d.command == default_command(d.name))


def _check_program(definition: ServiceDefinition) -> None:
    if definition.role is not Role.DB:
        raise UsageError(
            f"a service that is an image, without a command, can't run as a process of this machine: {definition.name}",
            hint=f"write services.{definition.name}.command; or {_NEEDS_DOCKER}",
        )
    if shutil.which("mongod") is None:
        raise UsageError(
            f"there is no `mongod` on PATH, which runs the service: {definition.name}",
            hint="install MongoDB's server, give services.db.uri of one that runs elsewhere, or take `engine: embedded`; "
            f"{_NEEDS_DOCKER}",
        )


def data_directory(project: Project, name: str) -> Path:
    """Where a service of this machine keeps its data; others than the built-in ones keep theirs where they like."""
    return project.cache / "data" / name


def _base(definition: ServiceDefinition, project: Project, environ: Mapping[str, str]) -> dict[str, str]:
    """What each process is told, before its links: it does not hold its output back."""
    base = {"PYTHONUNBUFFERED": "1"}
    if definition.role is Role.PREFECT:
        directory = str(data_directory(project, definition.name))
        own = definition.command == default_command(definition.name)  # else it may be a Python without Pulpo
        base |= data_in(directory, {*environ, *definition.environment}) if own else {"PREFECT_HOME": directory}
    return base


def _links(definition: ServiceDefinition, addresses: Mapping[str, Sequence[Address]]) -> dict[str, str]:
    found = {}
    for link in definition.links:
        if not (where := addresses.get(link.service)):
            continue
        host = where[0].host if link.service == definition.name else reached_at(where[0].host)
        shown = f"[{host}]" if ":" in host and "://" in link.text else host
        found[link.variable] = link.text.replace("{host}", shown).replace("{port}", str(where[0].port))
    return found


def _command(definition: ServiceDefinition, project: Project, own: Sequence[Address]) -> tuple[str, ...]:
    if definition.command is not None:
        return _with_interpreter(definition.command)
    if definition.role is not Role.DB:
        return ()  # see `check_runnable`
    where = own[0]
    return (
        "mongod", "--dbpath", str(data_directory(project, definition.name)), "--bind_ip", where.host, "--port", str(where.port),
        "--nounixsocket", *(("--ipv6",) if ":" in where.host else ()),
    )  # fmt: skip


def _with_interpreter(command: Sequence[str]) -> tuple[str, ...]:
    program, *rest = command
    if program in _PYTHON:
        return (sys.executable, *rest)
    return (sys.executable, "-P", "-m", _PULPO, *rest) if program == _PULPO else tuple(command)


def _probe(definition: ServiceDefinition, own: Sequence[Address]) -> LocalProbe | None:
    probe = definition.probe
    if probe is None:
        return None
    match probe.kind:
        case "http":
            where = _probed(definition, probe, own)
            return HttpProbe(where.host, where.port, probe.path)
        case "tcp":
            where = _probed(definition, probe, own)
            return TcpProbe(where.host, where.port)
        case "command":
            return CommandProbe(_with_interpreter(probe.command))
        case "log":
            return LogProbe(probe.pattern)


def _probed(definition: ServiceDefinition, probe: Probe, own: Sequence[Address]) -> Address:
    """Where this machine reaches the probe's port: the first one where it says none."""
    for port, where in zip(definition.ports, own, strict=True):
        if probe.port in (port.port, None):
            return Address(reached_at(where.host), where.port)
    return Address("127.0.0.1", probe.port or 0)
