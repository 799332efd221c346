"""The services that run of a project, also while its lock can't be used: to look at them, to read them, and to stop them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulpo.errors import DiagnosticsError, PulpoError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pulpo.apply.services.manager import ServiceManager
    from pulpo.apply.services.mode import Mode
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project


@dataclass(frozen=True, slots=True)
class WhatRuns:
    """The services of a lock; where it can't be used, those that were found without it."""

    manager: ServiceManager
    #: Why the lock can't be used; None where it can.
    problem: PulpoError | None = None
    #: The same in a sentence, and what is used in its place.
    warning: str = ""


def what_runs(
    project: Project, lock: Callable[[], tuple[Manifest, Document]], chosen: Callable[[Manifest], Mode], name: str | None = None
) -> WhatRuns:
    """The services of the lock, with the one of that name, which comes with Pulpo, where the lock lacks it.

    Raises:
        UsageError: There is no such environment or mode, or the service of that name is disabled.
    """
    from pulpo.apply.services.found import project_of
    from pulpo.cli.single import told_manager, with_service

    try:
        manifest, document = lock()
    except DiagnosticsError as error:
        manifest, document, is_said = project_of(project)
        return _found(project, manifest, document, chosen(manifest), error, is_said=is_said)
    if name is not None:
        manifest = with_service(manifest, name)
    mode = chosen(manifest)
    try:
        return WhatRuns(told_manager(project, manifest, document, mode))
    except (DiagnosticsError, UsageError) as error:
        return _found(project, manifest, document, mode, error, is_said=True)


def _found(
    project: Project, manifest: Manifest, document: Document, mode: Mode, problem: PulpoError, *, is_said: bool
) -> WhatRuns:
    from pulpo.apply.services.found import FoundServices

    why = "the lock has errors (`pulpo check`):" if isinstance(problem, DiagnosticsError) else f"{problem.message};"
    found = FoundServices(project, manifest, document, mode=mode)
    return WhatRuns(found, problem, f"{why} {_where(mode, is_said=is_said)}")


def _where(mode: Mode, *, is_said: bool) -> str:
    if mode == "local":
        containers = "" if is_said else "; --mode docker finds containers"
        return f"services are found by what is remembered of their processes{containers}"
    if is_said:
        return "services are found by the labels of their containers"
    return "services are found by their containers' labels on this machine's engine; whether it names another can't be read"
