"""Which store a project has: MongoDB where it names one, else the embedded store."""

from __future__ import annotations

from pathlib import Path

from pulpo.errors import UsageError
from pulpo.store.base import Store


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
