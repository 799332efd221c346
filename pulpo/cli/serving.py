"""The API of a project as a local service: started, stopped and read by commands, without importing what it is made of."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pulpo.errors import UsageError

if TYPE_CHECKING:
    from pulpo.api.settings import Settings
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.services.local import LocalServices
    from pulpo.services.logs import LogLine
    from pulpo.services.spec import LocalService
    from pulpo.services.state import ServiceState
    from pulpo.settings import Project

NAME: Final = "api"
_PACKAGES: Final = ("fastapi", "uvicorn", "prometheus_client")
#: Seconds that the API has to be ready in, and those it takes to record the end of its runs.
_READY, _ENDING = 60, 15
_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class ApiState:
    """The API that runs in the background."""

    url: str
    #: Its process.
    pid: int | None
    started: dt.datetime
    #: Whether this call started it; else it ran already.
    new: bool
    #: Whether its settings are not those that it would be started with now.
    differs: bool = False


def start_api(
    project: Project,
    manifest: Manifest,
    document: Document,
    *,
    host: str | None = None,
    port: str | int | None = None,
    on_start: Callable[[], None] = lambda: None,
    restart: bool = False,
) -> ApiState:
    """Start the API unless it runs, and wait until it is ready; with `restart` what runs is stopped before.

    Raises:
        UsageError: Its packages are not installed, its settings make no sense, or its port is taken.
        ServiceError: It ended, or was not ready in time; the message has the last lines of its log.
    """
    from pulpo.api.settings import ANOTHER_PORT
    from pulpo.services.ports import PortTakenError

    service = _service(project, manifest, document, host, port)
    if restart:
        services(project).stop(NAME)
    try:
        started = services(project).start(service, on_start=lambda _: on_start())
    except PortTakenError as error:
        raise PortTakenError(error.address, error.holder, hint=ANOTHER_PORT) from error
    return _told(started.state, new=started.new, differs=started.differs)


def stop_api(project: Project) -> bool:
    """Stop the API, its runs recorded as cancelled and its port free; False where it did not run.

    Raises:
        ServiceError: Its port is still taken.
    """
    before = services(project).stop(NAME)
    return before is not None and not before.status.over


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


def api_logs(
    project: Project, *, tail: int | None = None, since: dt.datetime | None = None, follow: bool = False
) -> Iterator[LogLine]:
    """The lines of the API's log, oldest first; with `follow` each new one as well, for ever."""
    found = services(project)
    return found.follow(NAME, tail=tail, since=since) if follow else iter(found.logs(NAME, tail=tail, since=since))


def services(project: Project) -> LocalServices:
    """The local services of a project."""
    from pulpo.services.local import LocalServices

    return LocalServices(project.cache)


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


def _service(project: Project, manifest: Manifest, document: Document, host: str | None, port: str | int | None) -> LocalService:
    from pulpo.api.settings import reached_at
    from pulpo.services.probes import HttpProbe
    from pulpo.services.spec import Address, LocalService

    check_installed()
    settings = _settings(manifest, document, host, port)
    settings.check_address()
    chosen = _port(project, settings)
    environment = ["--env", project.environment] if project.environment else []
    return LocalService(
        NAME,
        (sys.executable, "-P", "-u", "-m", "pulpo", "-q", "--project", str(project.root), *environment, NAME, "serve"),
        str(project.root),
        environment={**_environment(manifest, document), **settings.variables(chosen)},
        probe=HttpProbe(reached_at(settings.host), chosen, "/health/ready"),
        addresses=(Address(settings.host, chosen),),
        restart="always",
        ready_timeout=_READY,
        grace=settings.grace + _ENDING,
    )


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
    from pulpo.services.ports import remembered

    if settings.port != "auto":
        return settings.port
    found = services(project)

    def runs() -> bool:
        state = found.state(NAME)
        return state is not None and not state.status.over

    return remembered(found.ports_path, NAME, settings.host, holds=runs)


def _told(state: ServiceState, *, new: bool, differs: bool) -> ApiState:
    from pulpo.api.settings import reached_at, url

    host, _, port = state.addresses[0].rpartition(":")
    started = dt.datetime.fromtimestamp(state.started or 0, dt.UTC)
    return ApiState(url(reached_at(host), int(port)), state.pid, started, new, differs)
