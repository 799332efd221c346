"""What services of this machine stored where Pulpo keeps their data."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from pulpo.apply.services.process import data_directory
from pulpo.compile.topology import Role

if TYPE_CHECKING:
    from pulpo.compile.topology import ServiceDefinition
    from pulpo.settings import Project

#: Of services that keep their data where Pulpo says.
_KEEPERS: Final = (Role.DB, Role.PREFECT)
#: Of the embedded store's files.
_STORE_SUFFIXES: Final = ("", "-wal", "-shm")


def has_data(project: Project, service: ServiceDefinition) -> bool:
    """Whether something lies where the service keeps its data; the embedded store's file is one's as well."""
    if service.kind == "embedded":
        return project.store_path.exists()
    directory = data_directory(project, service.name)
    return directory.is_dir() and any(directory.iterdir())


def make_room(project: Project, service: ServiceDefinition) -> None:
    """Make the directory of a service that keeps its data where Pulpo says."""
    if service.role not in _KEEPERS:
        return
    directory = data_directory(project, service.name)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (ignore := directory.parent / ".gitignore").exists():
        ignore.write_text("*\n", encoding="utf-8")


def remove_data(project: Project, service: ServiceDefinition) -> None:
    """Delete all that the service stored."""
    shutil.rmtree(data_directory(project, service.name), ignore_errors=True)
    if service.kind == "embedded":
        for suffix in _STORE_SUFFIXES:
            project.store_path.with_name(project.store_path.name + suffix).unlink(missing_ok=True)
