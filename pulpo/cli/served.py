"""The API and the UI as services that this interpreter serves: what starting and serving them have in common."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from pulpo.errors import UsageError

if TYPE_CHECKING:
    from pulpo.apply.services.mode import Mode
    from pulpo.cli.single import StartedService
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project


class Settings(Protocol):
    """What both have for settings."""

    @property
    def host(self) -> str:
        """The address that it listens on."""

    @property
    def port(self) -> int | Literal["auto"]:
        """The port, or `auto`."""

    def check_address(self) -> None:
        """Refuse an address that others can reach where nobody would be asked for a token."""


@dataclass(frozen=True, slots=True)
class Served:
    """One of the two. Its name is that of its service, of its group of commands, and of Pulpo's extra."""

    name: str
    #: As people call it.
    title: str

    @property
    def where(self) -> tuple[str, str]:
        """The variables that say where it listens: host and port."""
        return f"PULPO_{self.name.upper()}_HOST", f"PULPO_{self.name.upper()}_PORT"


API: Final = Served("api", "the API")
UI: Final = Served("ui", "the UI")


def options(served: Served, host: str | None, port: str | int | None) -> dict[str, str]:
    """What a command was told about where it listens, as environment variables."""
    return {variable: str(value) for variable, value in zip(served.where, (host, port), strict=True) if value is not None}


def start_served(
    project: Project,
    manifest: Manifest,
    document: Document,
    served: Served,
    settings: Settings | None,
    *,
    mode: Mode,
    environment: Mapping[str, str],
    on_start: Callable[[], None],
    restart: bool,
) -> StartedService:
    """Start it and what it needs, as `pulpo.cli.single.start` does; the settings are None of a container.

    Raises:
        UsageError: Its port is taken.
        PulpoError: As `pulpo.cli.single.start`.
    """
    from pulpo.api.listening import another_port
    from pulpo.cli.single import manager_of, start
    from pulpo.manifest.addresses import DEFAULT_PORTS
    from pulpo.services.ports import PortTakenError

    manager = manager_of(project, manifest, document, mode)
    try:
        return start(manager, served.name, on_start=on_start, restart=restart, environment=environment)
    except PortTakenError as error:
        if settings is None or error.address.port != settings.port:
            raise
        raise PortTakenError(error.address, error.holder, hint=another_port(DEFAULT_PORTS[served.name])) from error


def is_told(manifest: Manifest, served: Served) -> bool:
    """Whether this process was given where it listens, or its `environment` in the manifest says it."""
    service = manifest.services.get(served.name)
    return service is not None and any(os.environ.get(v) or v in (service.environment or {}) for v in served.where)


def listening(manifest: Manifest, served: Served, settings: Settings, environment: Mapping[str, str]) -> Manifest:
    """The manifest with its address that the settings have, and with more of an environment."""
    from pulpo.manifest.addresses import DEFAULT_PORTS

    service = manifest.services[served.name]
    address = _address(settings.host)
    shown = f"[{address}]" if ":" in address else address
    changed = service.model_copy(
        update={
            "ports": [f"{shown}:{settings.port}:{DEFAULT_PORTS[served.name]}", *(service.ports or ())[1:]],
            "environment": {**(service.environment or {}), **environment},
        }
    )
    return manifest.model_copy(update={"services": {**manifest.services, served.name: changed}})


def in_manifest(manifest: Manifest, document: Document, served: Served, field: Literal["environment", "ports"]) -> Any:
    """What its entry has there, its references resolved; None where it says nothing.

    Raises:
        DiagnosticsError: Variables are not set that it refers to.
    """
    from pulpo.manifest.references import resolve

    service = manifest.services.get(served.name)
    value = None if service is None else service.data().get(field)
    if value is None:
        return None
    data = {"services": {served.name: {field: value}}}
    return resolve(data, os.environ, document.locate).data["services"][served.name][field]


def chosen_port(project: Project, served: Served, settings: Settings) -> int:
    """The port of the settings; for `auto` one that is free, the same one again the next time."""
    from pulpo.services.local import LocalServices
    from pulpo.services.ports import remembered

    if settings.port != "auto":
        return settings.port
    found = LocalServices(project.cache)

    def runs() -> bool:
        state = found.state(served.name)
        return state is not None and not state.status.over

    return remembered(found.ports_path, served.name, settings.host, holds=runs)


def _address(host: str) -> str:
    """The IP address that a host's name means."""
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][4][0])
    except OSError as error:
        raise UsageError(f"nothing can listen on {host}: {error.strerror}") from error
