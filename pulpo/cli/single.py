"""One service by itself, as `pulpo prefect start` has it: started, stopped, started anew; and the manager that does it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pulpo.apply.services.status import ServiceEvent, State
from pulpo.errors import DiagnosticsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pulpo.apply.services.manager import ServiceManager
    from pulpo.apply.services.mode import Mode
    from pulpo.apply.services.status import ServiceLine, ServiceStatus
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project

#: What nothing has to be done for: it runs by itself, or not at all.
NOT_OURS: Final = (State.EMBEDDED, State.ELSEWHERE)
_RUNS: Final = (State.STARTING, State.RUNNING, State.UNREADY, State.RESTARTING)


@dataclass(frozen=True, slots=True)
class StartedService:
    """A service that was asked to run in the background."""

    #: Where it is reached first; None where it has no address.
    url: str | None
    #: Its process, where it is one.
    pid: int | None
    #: When it was started; None where nothing runs.
    started: dt.datetime | None
    #: Whether this call started it; else it ran already, or nothing runs.
    new: bool
    #: Whether its settings are not those that it would be started with now.
    differs: bool = False
    #: The name of its container, where it is one.
    container: str | None = None
    #: `running`; `embedded` is a file and `elsewhere` somebody else's: nothing was started.
    state: str = State.RUNNING.value


def with_service(manifest: Manifest, name: str) -> Manifest:
    """The manifest with a service that comes with Pulpo, also where it does not say it.

    Raises:
        UsageError: It is disabled.
    """
    from pulpo.manifest.service import ServiceSpec

    service = manifest.services.get(name, ServiceSpec())
    if service.enabled is False:
        raise UsageError(f"the service is not part of the project: {name}", hint=f"take out services.{name}.enabled: false")
    return manifest.model_copy(update={"services": {**manifest.services, name: service}})


def manager_of(project: Project, manifest: Manifest, document: Document, mode: Mode) -> ServiceManager:
    """The manager of the services of a manifest.

    Raises:
        DiagnosticsError: They break a rule, or variables are not set that their ports refer to; with places.
    """
    from pulpo.apply.services.manager import ServiceManager

    manager = ServiceManager(project, manifest, document, mode=mode)
    try:
        _ = manager.topology
    except DiagnosticsError as error:
        raise DiagnosticsError([d.located(document.locate) for d in error.diagnostics]) from error
    return manager


def told_manager(project: Project, manifest: Manifest, document: Document, mode: Mode) -> ServiceManager:
    """As `manager_of`, where processes are told what this process was told of the API and of the UI."""
    if mode == "local":
        from pulpo.cli import serving, serving_ui

        manifest = serving_ui.as_told(serving.as_told(manifest, document), document)
    return manager_of(project, manifest, document, mode)


def start(
    manager: ServiceManager,
    name: str,
    *,
    on_start: Callable[[], None] = lambda: None,
    restart: bool = False,
    environment: Mapping[str, str] | None = None,
) -> StartedService:
    """Start a service and those that it needs unless it runs, and wait until it is ready; with `restart` it is stopped before.

    What runs otherwise than the manifest says is left alone, and told. `environment` goes before what the manifest says.

    Raises:
        PulpoError: It can't be started, or was not ready in time.
    """
    (found,) = manager.status(name)
    if found.state in NOT_OURS or (found.state is State.RUNNING and not restart):
        return _told(found, new=False)
    begun: list[str] = []

    def on_event(event: ServiceEvent) -> None:
        if event.service == name and event.what == "starting" and not begun:
            begun.append(name)
            on_start()

    change = manager.restart if restart else manager.start
    change(name, environment=environment, on_event=on_event)
    (found,) = manager.status(name)
    return _told(found, new=bool(begun))


def stop(manager: ServiceManager, name: str) -> bool:
    """Stop a service alone, and nothing that needs it; False where it did not run, or nothing is known of it.

    Raises:
        PulpoError: It can't be stopped, or its port is still taken.
    """
    if not _knows(manager, name):
        return False
    (found,) = manager.status(name)
    if found.state in NOT_OURS:
        return False
    manager.stop(name)
    return found.state in _RUNS


def logs(
    manager: ServiceManager, name: str, *, tail: int | None, since: dt.datetime | None, follow: bool
) -> Iterator[ServiceLine]:
    """The lines of a service, as `ServiceManager.logs` has them; none where nothing is known of it."""
    return manager.logs(name, tail=tail, since=since, follow=follow) if _knows(manager, name) else iter(())


def _knows(manager: ServiceManager, name: str) -> bool:
    """Whether it is one of the services: of those that were found without a lock it may be none."""
    return any(service.name == name for service in manager.topology.services)


def _told(found: ServiceStatus, *, new: bool) -> StartedService:
    url = found.addresses[0] if found.addresses else None
    return StartedService(url, found.pid, found.since, new, found.differs, found.container, found.state.value)
