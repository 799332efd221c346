"""The API of a project as a service: started and served by commands, without importing what it is made of."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pulpo.errors import UsageError

if TYPE_CHECKING:
    from pulpo.api.settings import Settings
    from pulpo.apply.services.mode import Mode
    from pulpo.cli.single import StartedService
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project

NAME: Final = "api"
_PACKAGES: Final = ("fastapi", "uvicorn", "prometheus_client")
#: The settings that say where it listens, and those that let only some in.
_WHERE: Final = ("PULPO_API_HOST", "PULPO_API_PORT")
_TOKENS: Final = ("PULPO_API_TOKEN", "PULPO_API_READ_TOKEN")
_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def start_api(
    project: Project,
    manifest: Manifest,
    document: Document,
    *,
    mode: Mode,
    host: str | None = None,
    port: str | int | None = None,
    on_start: Callable[[], None] = lambda: None,
    restart: bool = False,
) -> StartedService:
    """Start the API and what it needs unless it runs, and wait until it is ready; with `restart` what runs is stopped before.

    What keeps it from starting is found before anything is started or stopped, as `serve_api` finds it.

    Raises:
        UsageError: Its packages are not installed, its settings or those of the store make no sense, or its port is taken.
        DiagnosticsError: Variables are not set that its services `api` and `db` refer to.
        ServiceError: It ended, or was not ready in time; the message has the last lines of its log.
    """
    from pulpo.api.settings import ANOTHER_PORT
    from pulpo.cli.single import manager_of, start, with_service
    from pulpo.services.ports import PortTakenError

    manifest = with_service(manifest, NAME)
    options = {variable: str(value) for variable, value in zip(_WHERE, (host, port), strict=True) if value is not None}
    if mode == "local":
        check_installed()
        settings = _settings(manifest, document, host, port)
        settings.check_address()
        _check_store(project, manifest, document)
        manifest = _listening(manifest, settings)
    elif options:
        raise UsageError("the lock says where the API of a container is reached", hint=f"write services.{NAME}.ports")
    manager = manager_of(project, manifest, document, mode)
    try:
        return start(manager, NAME, on_start=on_start, restart=restart, environment=options)
    except PortTakenError as error:
        raise PortTakenError(error.address, error.holder, hint=ANOTHER_PORT) from error


def serve_api(
    project: Project,
    manifest: Manifest,
    document: Document,
    *,
    host: str | None = None,
    port: str | int | None = None,
    on_listen: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the API in this process until a signal ends it; see `pulpo.api.serve.serve`."""
    check_installed()
    settings = _settings(manifest, document, host, port)
    from pulpo.api.serve import serve

    serve(project, manifest, document, settings, _port(project, settings), on_listen=on_listen)


def as_told(manifest: Manifest, document: Document) -> Manifest:
    """The manifest with the API where its settings have it, if this process was given one, or its `environment` says one."""
    service = manifest.services.get(NAME)
    if service is None or not any(os.environ.get(v) or v in (service.environment or {}) for v in _WHERE):
        return manifest
    return _listening(manifest, _settings(manifest, document, None, None))


def since_text(text: str, now: dt.datetime) -> dt.datetime:
    """The time that `10m`, `1.5h`, or a date and time in ISO's form means; local time where it names no zone.

    Raises:
        UsageError: It means none.
    """
    if ago := _AGO.fullmatch(text):
        return now - dt.timedelta(seconds=float(ago[1]) * _UNITS[ago[2]])
    try:
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    except ValueError as error:
        raise UsageError(
            f"this is no time: {text}", hint="such as 30s, 10m, 2h, 1d, 2026-05-01, or 2026-05-01T12:00:00"
        ) from error


def check_installed() -> None:
    """Raise a `UsageError` unless the packages are installed that the API is made of; none is imported."""
    for name in _PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise UsageError(f"the API needs a package that is not installed: {name}", hint="pip install 'pulpocore[api]'")


def _listening(manifest: Manifest, settings: Settings) -> Manifest:
    """The manifest with the API's address that the settings have."""
    from pulpo.manifest.addresses import DEFAULT_PORTS

    service = manifest.services[NAME]
    address = _address(settings.host)
    shown = f"[{address}]" if ":" in address else address
    tokens = {v: f"${{{v}}}" for v in _TOKENS if os.environ.get(v)}
    changed = service.model_copy(
        update={
            "ports": [f"{shown}:{settings.port}:{DEFAULT_PORTS[NAME]}", *(service.ports or ())[1:]],
            "environment": {**(service.environment or {}), **tokens},
        }
    )
    return manifest.model_copy(update={"services": {**manifest.services, NAME: changed}})


def _address(host: str) -> str:
    """The IP address that a host's name means."""
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][4][0])
    except OSError as error:
        raise UsageError(f"nothing can listen on {host}: {error.strerror}") from error


def _check_store(project: Project, manifest: Manifest, document: Document) -> None:
    """Raise what opening the store would, as far as that can be seen without opening it."""
    from pulpo.store.open import project_store

    project_store(project, manifest, locate=document.locate)


def _settings(manifest: Manifest, document: Document, host: str | None, port: str | int | None) -> Settings:
    from pulpo.api.settings import read_settings

    environment, ports = _environment(manifest, document), _ports(manifest, document)
    return read_settings(os.environ, environment=environment, ports=ports, host=host, port=port)


def _environment(manifest: Manifest, document: Document) -> dict[str, str]:
    """What the service `api` of the manifest has for an environment, its references resolved."""
    found: dict[str, str] = _resolved(manifest, document, "environment") or {}
    return found


def _ports(manifest: Manifest, document: Document) -> list[str]:
    found: list[str] = _resolved(manifest, document, "ports") or []
    return found


def _resolved(manifest: Manifest, document: Document, field: str) -> Any:
    from pulpo.manifest.references import resolve

    service = manifest.services.get(NAME)
    value = None if service is None else service.data().get(field)
    if value is None:
        return None
    return resolve({"services": {NAME: {field: value}}}, os.environ, document.locate).data["services"][NAME][field]


def _port(project: Project, settings: Settings) -> int:
    from pulpo.services.local import LocalServices
    from pulpo.services.ports import remembered

    if settings.port != "auto":
        return settings.port
    found = LocalServices(project.cache)

    def runs() -> bool:
        state = found.state(NAME)
        return state is not None and not state.status.over

    return remembered(found.ports_path, NAME, settings.host, holds=runs)
