"""The API of a project as a service: started and served by commands, without importing what it is made of."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pulpo.apply.services.extras import check_installed
from pulpo.cli.served import API, chosen_port, in_manifest, is_told, listening, options, start_served
from pulpo.errors import UsageError

if TYPE_CHECKING:
    from pulpo.api.settings import Settings
    from pulpo.apply.services.mode import Mode
    from pulpo.cli.single import StartedService
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project

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
    from pulpo.cli.single import with_service

    manifest, told, settings = with_service(manifest, API.name), options(API, host, port), None
    if mode == "local":
        settings = _checked(project, manifest, document, host, port)
        manifest = _listening(manifest, settings)
    elif told:
        raise UsageError("the lock says where the API of a container is reached", hint=f"write services.{API.name}.ports")
    return start_served(
        project, manifest, document, API, settings, mode=mode, environment=told, on_start=on_start, restart=restart
    )


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
    check_installed((API.name,))
    settings = _settings(manifest, document, host, port)
    from pulpo.api.serve import serve

    serve(project, manifest, document, settings, chosen_port(project, API, settings), on_listen=on_listen)


def as_told(manifest: Manifest, document: Document) -> Manifest:
    """The manifest with the API where its settings have it, if this process was given one, or its `environment` says one."""
    if not is_told(manifest, API):
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


def _checked(project: Project, manifest: Manifest, document: Document, host: str | None, port: str | int | None) -> Settings:
    """The settings, if the API could start with them, as far as that can be seen without opening the store."""
    from pulpo.store.open import project_store

    check_installed((API.name,))
    settings = _settings(manifest, document, host, port)
    settings.check_address()
    project_store(project, manifest, locate=document.locate)
    return settings


def _listening(manifest: Manifest, settings: Settings) -> Manifest:
    from pulpo.manifest.service_rules import TOKENS

    return listening(manifest, API, settings, {name: f"${{{name}}}" for name in TOKENS if os.environ.get(name)})


def _settings(manifest: Manifest, document: Document, host: str | None, port: str | int | None) -> Settings:
    from pulpo.api.settings import read_settings

    return read_settings(
        os.environ,
        environment=in_manifest(manifest, document, API, "environment"),
        ports=in_manifest(manifest, document, API, "ports") or (),
        host=host,
        port=port,
    )
