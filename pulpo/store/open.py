"""Which store a project has: MongoDB where something names one or the project runs one, else the embedded store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pulpo.errors import UsageError
from pulpo.manifest.addresses import host_address, is_managed
from pulpo.manifest.references import resolve
from pulpo.store.base import Store

if TYPE_CHECKING:
    from pulpo.diagnostics import Locate
    from pulpo.manifest.model import Manifest
    from pulpo.settings import Project

#: The service of the manifest that is the project's database.
SERVICE: Final = "db"
#: The environment variable that goes before the manifest.
VARIABLE: Final = "PULPO_DB_URI"
#: What speaks to MongoDB where the service does not say it.
DRIVER: Final = "motor"
_START: Final = f"pulpo {SERVICE} start"


def project_store(
    project: Project, manifest: Manifest, *, environ: Mapping[str, str] = os.environ, locate: Locate = lambda _: None
) -> Store:
    """The store of a project, not opened: what PULPO_DB_URI or `services.db` says, else the embedded one.

    That service's `uri` goes first, its references resolved now; one that the project runs itself is reached where it listens.

    Args:
        project: Where the embedded store is.
        manifest: As the environment has it that is worked in.
        environ: The environment variables.
        locate: Knows the places of paths in the manifest, for problems.

    Raises:
        DiagnosticsError: A variable is not set that the URI refers to (PLP217).
        UsageError: As `open_store`; or the project runs the database, on a port that is chosen when it is first started.
    """
    return store_at(project_uri(project, manifest, environ=environ, locate=locate), project, manifest)


def project_uri(
    project: Project, manifest: Manifest, *, environ: Mapping[str, str] = os.environ, locate: Locate = lambda _: None
) -> str | None:
    """The URI of a project's store, which may hold a password; None where it is the embedded one. As `project_store`."""
    if given := environ.get(VARIABLE):
        return given
    service = manifest.services.get(SERVICE)
    if service is not None and service.uri is not None:
        return resolved_uri(service.uri, environ=environ, locate=locate)
    if not is_managed(manifest, SERVICE):
        return None
    if (uri := _own_uri(project, manifest)) is None:
        raise UsageError("the database has no port yet: it was never started", hint=_START)
    return uri


def _own_uri(project: Project, manifest: Manifest) -> str | None:
    """Where the database is that the project runs itself; None where it runs none, or has chosen no port for it yet."""
    if not is_managed(manifest, SERVICE) or (address := host_address(manifest, SERVICE, project.chosen_ports)) is None:
        return None
    host, port = address
    return f"mongodb://{f'[{host}]' if ':' in host else host}:{port}/{manifest.project.name}"


def resolved_uri(uri: str, *, environ: Mapping[str, str] = os.environ, locate: Locate = lambda _: None) -> str:
    """A URI with what its references stand for.

    Raises:
        DiagnosticsError: A variable is not set (PLP217), or a reference is malformed (PLP216).
    """
    resolved = resolve({"services": {SERVICE: {"uri": uri}}}, environ, locate)
    return str(resolved.data["services"][SERVICE]["uri"])


def store_at(uri: str | None, project: Project, manifest: Manifest) -> Store:
    """The store at a URI, or the project's embedded one where it is None; its database and driver are the project's."""
    service = manifest.services.get(SERVICE)
    driver = (service.driver if service else None) or DRIVER
    started_by = _START if uri is not None and uri == _own_uri(project, manifest) else None
    return open_store(uri, path=project.store_path, database=manifest.project.name, driver=driver, started_by=started_by)


def open_store(uri: str | None, *, path: Path, database: str, driver: str, started_by: str | None = None) -> Store:
    """The store at the URI, its references resolved, or the embedded one in the file where there is none; `async with` opens it.

    Args:
        uri: `mongodb://…` or `mongodb+srv://…`; None for the file.
        path: The embedded store's file.
        database: The name of the database where the URI has none: the project's.
        driver: `motor` or `pymongo`.
        started_by: The command that starts a MongoDB that the project runs itself, for whoever finds it down.

    Raises:
        UsageError: The URI makes no sense, or what MongoDB needs is not installed. A MongoDB that does not answer is one as well,
            when the store is opened: the file never takes its place.
    """
    if uri is None:
        from pulpo.store.sqlite import SqliteStore

        return SqliteStore(path)
    if "${" in uri:
        raise UsageError("a reference in the store's URI is not resolved", hint="set the variable, or write $$ for a dollar sign")
    try:
        from pulpo.store.mongo import MongoStore
    except ImportError as error:
        raise UsageError(
            f"MongoDB needs a package that is not installed: {error.name}", hint='pip install "pulpocore[mongo]"'
        ) from error
    return MongoStore(uri, database=database, driver=driver, started_by=started_by)
