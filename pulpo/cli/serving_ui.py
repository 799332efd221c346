"""The UI of a project as a service: started and served by commands, without importing what it is made of."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pulpo.apply.services.extras import check_installed
from pulpo.cli.served import API, UI, chosen_port, in_manifest, is_told, listening, options, start_served
from pulpo.errors import UsageError

if TYPE_CHECKING:
    from pulpo.apply.services.mode import Mode
    from pulpo.cli.single import StartedService
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project
    from pulpo.ui.settings import Settings

_API_URL: Final = "PULPO_API_URL"


def start_ui(
    project: Project,
    manifest: Manifest,
    document: Document,
    *,
    mode: Mode,
    api: str | None = None,
    host: str | None = None,
    port: str | int | None = None,
    on_start: Callable[[], None] = lambda: None,
    restart: bool = False,
) -> StartedService:
    """Start the UI and the API unless they run, and wait until it is ready; with `restart` what runs of the UI is stopped before.

    `api` is one that runs elsewhere, which is shown in place of the project's.

    Raises:
        UsageError: Its packages are not installed, its settings make no sense, the project has no API, or a port is taken.
        DiagnosticsError: Variables are not set that its services refer to.
        ServiceError: It ended, or was not ready in time; the message has the last lines of its log.
    """
    from pulpo.cli.single import with_service

    manifest, told, settings = with_service(manifest, UI.name), options(UI, host, port), None
    if mode == "local":
        check_installed((UI.name,))
        settings = _settings(manifest, document, api, host, port)
        settings.check_address()
        manifest = _listening(_shown(manifest, api), settings)
    elif told or api:
        where = f"services.{UI.name}.ports" if told else f"services.{API.name}.uri"
        raise UsageError("the lock says where the UI of a container is reached, and what it shows", hint=f"write {where}")
    return start_served(
        project, manifest, document, UI, settings, mode=mode, environment=told, on_start=on_start, restart=restart
    )


def serve_ui(
    project: Project,
    lock: Callable[[], tuple[Manifest, Document]],
    *,
    api: str | None = None,
    host: str | None = None,
    port: str | int | None = None,
    on_listen: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the UI in this process until a signal ends it; see `pulpo.ui.serve.serve`.

    The lock is read only where neither `api` nor the variable PULPO_API_URL says where the API is.
    """
    check_installed((UI.name,))
    if api or os.environ.get(_API_URL):
        from pulpo.ui.settings import read_settings

        settings = read_settings(os.environ, api=api, host=host, port=port)
    else:
        manifest, document = lock()
        settings = _settings(manifest, document, _address_of_api(project, manifest, document), host, port)
    from pulpo.ui.serve import serve

    serve(settings, chosen_port(project, UI, settings), on_listen=on_listen)


def as_told(manifest: Manifest, document: Document) -> Manifest:
    """The manifest with the UI where its settings have it, if this process was given one, or its `environment` says one."""
    if not is_told(manifest, UI):
        return manifest
    return _listening(manifest, _settings(manifest, document, None, None, None))


def _shown(manifest: Manifest, api: str | None) -> Manifest:
    """The manifest with the API that is shown: one elsewhere, or the project's, also where the lock lacks it."""
    from pulpo.cli.single import with_service
    from pulpo.manifest.service import ServiceSpec

    if api is not None:
        return manifest.model_copy(update={"services": {**manifest.services, API.name: ServiceSpec(uri=api)}})
    if _API_URL in (manifest.services[UI.name].environment or {}):
        return manifest
    return with_service(manifest, API.name)


def _address_of_api(project: Project, manifest: Manifest, document: Document) -> str | None:
    """Where the API is by the manifest, or by what it was told; None where neither says it."""
    from pulpo.api.settings import url
    from pulpo.cli.serving import as_told as api_as_told
    from pulpo.cli.single import with_service
    from pulpo.manifest.addresses import host_address
    from pulpo.manifest.references import resolve

    if _API_URL in (((ui := manifest.services.get(UI.name)) and ui.environment) or {}):
        return None
    manifest = with_service(manifest, API.name)
    if uri := manifest.services[API.name].uri:
        found = resolve({"services": {API.name: {"uri": uri}}}, os.environ, document.locate)
        return str(found.data["services"][API.name]["uri"])
    address = host_address(api_as_told(manifest, document), API.name, project.chosen_ports)
    return url(*address) if address else None


def _listening(manifest: Manifest, settings: Settings) -> Manifest:
    from pulpo.manifest.service_rules import GUARDED

    return listening(manifest, UI, settings, {GUARDED: "true"} if settings.guarded else {})


def _settings(manifest: Manifest, document: Document, api: str | None, host: str | None, port: str | int | None) -> Settings:
    from pulpo.manifest.service_rules import asks_for_token
    from pulpo.ui.settings import read_settings

    return read_settings(
        os.environ,
        environment=in_manifest(manifest, document, UI, "environment"),
        ports=in_manifest(manifest, document, UI, "ports") or (),
        guarded=api is None and asks_for_token(manifest.services.get(API.name)),
        api=api,
        host=host,
        port=port,
    )
