"""A store that is nowhere but in memory, for tests of a project: the embedded one without its file."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final, NoReturn

from pulpo.store import sqlite_records
from pulpo.store.base import StoreError
from pulpo.store.sqlite import SqliteStore
from pulpo.store.sqlite_connection import ConnectionThreads, memory_connection

_NOWHERE: Final = Path("memory")


class MemoryStore(SqliteStore):
    """A `Store` in the memory of this process, gone when it is closed: one thread with one connection does everything."""

    def __init__(self) -> None:
        super().__init__(_NOWHERE)

    async def open(self) -> None:
        """Start with nothing stored."""
        if self._threads is None:
            thread = ConnectionThreads(_NOWHERE, self._connect)
            self._threads = (thread, thread)
            await thread.run(lambda connection: sqlite_records.initialise(connection, _NOWHERE))

    def another(self) -> NoReturn:
        """There is no other way to what only this one knows.

        Raises:
            StoreError: Always.
        """
        raise StoreError("a store in memory can't be opened a second time")

    def _connect(self) -> sqlite3.Connection:
        return memory_connection()

    def _check_file(self) -> None:
        """There is none."""
