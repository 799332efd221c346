"""Which store a project has: MongoDB where its manifest names one, else the embedded store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pulpo.errors import UsageError
from pulpo.manifest.references import resolve
from pulpo.store.base import Store

if TYPE_CHECKING:
    from pulpo.diagnostics import Locate
    from pulpo.manifest.model import Manifest
    from pulpo.settings import Project

#: The service of the manifest that is the project's database.
SERVICE: Final = "db"
#: What speaks to MongoDB where the service does not say it.
DRIVER: Final = "motor"


def project_store(
    project: Project, manifest: Manifest, *, environ: Mapping[str, str] = os.environ, locate: Locate = lambda _: None
) -> Store:
    """The store of a project, not opened: what `services.db` says, its references resolved now, else the embedded one.

    Args:
        project: Where the embedded store is.
        manifest: As the environment has it that is worked in.
        environ: The environment variables.
        locate: Knows the places of paths in the manifest, for problems.

    Raises:
        DiagnosticsError: A variable is not set that the URI refers to (PLP217).
        UsageError: As `open_store`; or the service is there, but nothing says where it is reached.
    """
    return store_at(project_uri(manifest, environ=environ, locate=locate), project, manifest)


def project_uri(manifest: Manifest, *, environ: Mapping[str, str] = os.environ, locate: Locate = lambda _: None) -> str | None:
    """The URI of a project's store, which may hold a password; None where it is the embedded one. As `project_store`."""
    service = manifest.services.get(SERVICE)
    if service is None:
        return None
    if service.uri is None:
        raise UsageError(
            f"nothing says where the database is reached that the lock has: services.{SERVICE}",
            hint=f"write services.{SERVICE}.uri, such as ${{MONGO_URL}}; without the service the embedded store is used",
        )
    return resolved_uri(service.uri, environ=environ, locate=locate)


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
    return open_store(uri, path=project.store_path, database=manifest.project.name, driver=driver)


def open_store(uri: str | None, *, path: Path, database: str, driver: str) -> Store:
    """The store at the URI, its references resolved, or the embedded one in the file where there is none; `async with` opens it.

    Args:
        uri: `mongodb://…` or `mongodb+srv://…`; None for the file.
        path: The embedded store's file.
        database: The name of the database where the URI has none: the project's.
        driver: `motor` or `pymongo`.

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
    return MongoStore(uri, database=database, driver=driver)
