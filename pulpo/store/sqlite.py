"""The embedded store: one SQLite file, for any number of processes on one machine.

A collection is a table, a record a row, its data JSON text; indexes are over expressions of that text. One thread writes and two
read, each with its own connection. A process that is killed loses nothing that was acknowledged; a power cut may take the last
commits, unless the store is `durable`, and never the file. It is not for network drives, nor for sharing a file between a
container and the virtual machine that it runs in: MongoDB is.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from pulpo.store import sqlite_records
from pulpo.store.base import Change, Collection, Condition, Ensured, ObservedCollection, Page, Record, Sort, StoreError, Written
from pulpo.store.cursor import read_cursor
from pulpo.store.query import check_paging, checked, sort_order
from pulpo.store.sqlite_connection import ConnectionThreads, connect, file_identity, prepare_file, transaction
from pulpo.store.sqlite_query import after_clause, all_of, where_clause
from pulpo.store.values import canonical

T = TypeVar("T")

#: The two groups of threads, by what they do, and how many read.
_WRITER: Final = 0
_READERS: Final = 1
_READER_COUNT: Final = 2
#: How SQLite begins to say that a table is not there.
_NO_TABLE: Final = "no such table"


class SqliteStore:
    """A `Store` in a SQLite file; `async with` opens and closes it.

    `durable` makes every write wait for the disk, so that a power cut loses nothing. A write waits up to `timeout_s` seconds for
    another process's. It has more methods than other classes because a store has.
    """

    def __init__(self, path: str | Path, *, durable: bool = False, timeout_s: float = 10.0) -> None:
        self.path = Path(path).absolute()
        self._durable = durable
        self._timeout_s = timeout_s
        self._ensured: set[Collection] = set()
        self._threads: tuple[ConnectionThreads, ConnectionThreads] | None = None
        #: Which file was opened, whatever the path names later.
        self._file: tuple[int, int] | None = None

    async def open(self) -> None:
        """Create the file where it is missing and start the threads.

        Raises:
            StoreError: The file can't be created, read or written, is no store, or one of a newer Pulpo.
        """
        if self._threads is not None:
            return
        prepare_file(self.path)
        self._file = file_identity(self.path)
        self._threads = (
            ConnectionThreads(self.path, self._connect),
            ConnectionThreads(self.path, self._connect, count=_READER_COUNT),
        )
        try:
            await self._threads[0].run(lambda connection: sqlite_records.initialise(connection, self.path))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what was begun, close the file and end the threads."""
        threads, self._threads = self._threads, None
        self._ensured.clear()
        # The writer last and alone: of connections that close at once none may take the log into the file and remove it.
        for group in reversed(threads or ()):
            group.close()

    def another(self) -> SqliteStore:
        """The same store, not open; see `Store.another`."""
        return SqliteStore(self.path, durable=self._durable, timeout_s=self._timeout_s)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def ensure(self, collection: Collection) -> Ensured:
        """Create the collection and its indexes where they are missing; see `Store.ensure`."""

        def work(connection: sqlite3.Connection) -> Ensured:
            self._ensured.discard(collection)  # somebody may have dropped it
            with self._writing(connection, collection) as made:
                return made

        return await self._threads_of(_WRITER).run(work)

    async def structure(self) -> Mapping[str, ObservedCollection]:
        """The collections that are there, with their indexes; see `Store.structure`."""
        return await self._threads_of(_READERS).run(sqlite_records.structure)

    async def drop_index(self, collection: str, name: str) -> bool:
        """Drop an index; see `Store.drop_index`."""
        return await self._drop(lambda connection: sqlite_records.drop_index(connection, collection, name))

    async def drop_collection(self, name: str, *, with_records: bool = False) -> bool:
        """Drop a collection; see `Store.drop_collection`."""
        return await self._drop(lambda connection: sqlite_records.drop_collection(connection, name, with_records=with_records))

    async def get(self, collection: Collection, id: str) -> Record | None:  # noqa: A002 - the field's name
        """The record with this id."""
        return await self._read(lambda connection: sqlite_records.get(connection, collection, id), None)

    async def get_many(self, collection: Collection, ids: Sequence[str]) -> list[Record]:
        """The records with these ids, in the order of the ids; those that are not there are left out."""
        return await self._read(lambda connection: sqlite_records.get_many(connection, collection, ids), [])

    async def create(self, collection: Collection, record: Record) -> Record:
        """Store a new record; see `Store.create`."""
        new = sqlite_records.document(collection, record)
        return await self._write(collection, lambda connection: sqlite_records.create(connection, collection, new))

    async def replace(
        self,
        collection: Collection,
        record: Record,
        *,
        if_rev: int | None = None,
        known: Record | None = None,  # noqa: ARG002 - reading it costs nothing here
    ) -> Record:
        """Give a record new data; see `Store.replace`."""
        new = sqlite_records.document(collection, record)
        return await self._write(collection, lambda connection: sqlite_records.replace(connection, collection, new, if_rev))

    async def patch(
        self,
        collection: Collection,
        id: str,  # noqa: A002 - the field's name
        changes: Mapping[str, Any],
        *,
        if_rev: int | None = None,
    ) -> Record:
        """Change some top-level fields of a record; see `Store.patch`."""
        return await self._write(collection, lambda connection: sqlite_records.patch(connection, collection, id, changes, if_rev))

    async def upsert_many(self, collection: Collection, records: Iterable[Record], *, as_stored: bool = False) -> Written:
        """Store records whether or not they are there: on an error, none of them; see `Store.upsert_many`."""
        last = {record.id: record for record in records}

        def work(connection: sqlite3.Connection) -> Written:
            # Off the event loop, and before the write lock is taken: encoding takes longer than storing.
            documents = [sqlite_records.document(collection, record) for record in last.values()]
            return self._written(
                connection, collection, lambda: sqlite_records.upsert(connection, collection, documents, as_stored=as_stored)
            )

        return await self._threads_of(_WRITER).run(work)

    async def delete(self, collection: Collection, id: str, *, if_rev: int | None = None) -> bool:  # noqa: A002 - the field's name
        """Delete a record; see `Store.delete`."""
        return await self._write(collection, lambda connection: sqlite_records.delete(connection, collection, id, if_rev))

    async def delete_where(self, collection: Collection, where: Sequence[Condition]) -> int:
        """Delete the records that meet all conditions, all of them when there are none, and say how many."""
        clause = where_clause(collection, checked(where), None)
        return await self._write(collection, lambda connection: sqlite_records.delete_where(connection, collection, clause))

    async def find(
        self,
        collection: Collection,
        where: Sequence[Condition] = (),
        *,
        text: str | None = None,
        sort: Sequence[Sort] = (),
        limit: int = 100,
        after: str | None = None,
        skip: int = 0,
    ) -> Page:
        """A page of the records that meet all conditions, in the order of `sort`; see `Store.find`."""
        check_paging(limit, skip)
        order = sort_order(sort)
        clause = where_clause(collection, checked(where), canonical(text))
        if after is not None:
            clause = all_of([clause, after_clause(order, read_cursor(after, order))])
        return await self._read(
            lambda connection: sqlite_records.find(connection, collection, clause, order, limit, skip), Page()
        )

    async def count(self, collection: Collection, where: Sequence[Condition] = (), *, text: str | None = None) -> int:
        """How many records meet all conditions."""
        clause = where_clause(collection, checked(where), canonical(text))
        return await self._read(lambda connection: sqlite_records.count(connection, collection, clause), 0)

    async def versions(self) -> Mapping[str, int]:
        """The version of every collection, by name; see `Store.versions`."""
        return await self._threads_of(_READERS).run(sqlite_records.versions)

    async def watch(self, *, every: float = 0.5) -> AsyncIterator[Change]:
        """Say which collections changed, whoever changed them; see `Store.watch`."""
        known = await self.versions()
        while True:
            await asyncio.sleep(every)
            current = await self.versions()
            for name, version in current.items():
                if version != known.get(name, 0):
                    yield Change(name, version)
            known = current

    def _connect(self) -> sqlite3.Connection:
        return connect(self.path, timeout_s=self._timeout_s, durable=self._durable)

    def _check_file(self) -> None:
        """Refuse to write into a file that nobody will find again."""
        if file_identity(self.path) != self._file:
            raise StoreError(f"the store's file was removed or replaced while it was in use: {self.path}")

    def _threads_of(self, role: int) -> ConnectionThreads:
        if self._threads is None:
            raise StoreError(f"the store is not open: {self.path}", hint="use it inside `async with store:`")
        return self._threads[role]

    async def _read(self, work: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        def read(connection: sqlite3.Connection) -> T:
            try:
                return work(connection)
            except sqlite3.OperationalError as error:
                if str(error).startswith(_NO_TABLE):  # a collection that nobody ensured
                    return nothing
                raise

        return await self._threads_of(_READERS).run(read)

    async def _write(self, collection: Collection, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._threads_of(_WRITER).run(
            lambda connection: self._written(connection, collection, lambda: work(connection))
        )

    def _written(self, connection: sqlite3.Connection, collection: Collection, work: Callable[[], T]) -> T:
        """What `work` gives in a transaction in which the collection is there, also where another process has dropped it."""
        try:
            with self._writing(connection, collection):
                return work()
        except sqlite3.OperationalError as error:
            if collection not in self._ensured or not str(error).startswith(_NO_TABLE):
                raise
            self._ensured.discard(collection)
        with self._writing(connection, collection):
            return work()

    async def _drop(self, work: Callable[[sqlite3.Connection], bool]) -> bool:
        def drop(connection: sqlite3.Connection) -> bool:
            with transaction(connection):
                self._check_file()
                return work(connection)

        return await self._threads_of(_WRITER).run(drop)

    @contextlib.contextmanager
    def _writing(self, connection: sqlite3.Connection, collection: Collection) -> Iterator[Ensured]:
        """A transaction in which the collection is there; it begins with what had to be made of it."""
        try:
            with transaction(connection):
                yield Ensured() if collection in self._ensured else sqlite_records.ensure(connection, collection)
                self._check_file()
        except sqlite3.IntegrityError as error:
            raise sqlite_records.conflict(collection, error) from error
        self._ensured.add(collection)
