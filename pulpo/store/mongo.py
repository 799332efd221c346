"""The store on MongoDB: one that machines and teams share.

A collection is one of MongoDB's, a record a document. A write is acknowledged when a majority has it in its journal, so that no
kill loses it. Nothing needs a replica set: what is atomic is the write of one record, by comparing its revision. A batch is
written in order, but for the run and operation of records that stay equal, which come last; killed, it leaves its beginning,
and done again it is completed.

`watch` learns of what Pulpo's stores write, shortly after it is stored; another program's writes, as those of a Beanie
Document's own methods, move neither a version nor a revision.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from pulpo.store import mongo_records, mongo_structure
from pulpo.store.base import Change, Collection, Condition, Ensured, ObservedCollection, Page, Record, Sort, Written
from pulpo.store.cursor import read_cursor
from pulpo.store.mongo_address import check_driver, read_address, translated
from pulpo.store.mongo_connection import Connection
from pulpo.store.mongo_documents import Documents
from pulpo.store.mongo_driver import BSONError, errors
from pulpo.store.mongo_query import after_filters, all_of, where_filter
from pulpo.store.mongo_records import Document, Stored
from pulpo.store.query import check_paging, checked, sort_order
from pulpo.store.values import canonical

T = TypeVar("T")

#: Records that are read, compared and written in one go: the event loop waits no longer than these take to encode.
_BATCH: Final = 1000


class MongoStore:
    """A `Store` in a database of a MongoDB; `async with` opens and closes it, in the event loop that uses it.

    The database is that of the URI's path, else `database`. What is made there carries the mark of `project`, which is `database`
    unless it is given. It has more methods than other classes because a store has.

    Raises:
        UsageError: The URI makes no sense, or there is no such driver.
    """

    def __init__(
        self,
        uri: str,
        *,
        database: str,
        driver: str = "motor",
        timeout_s: float = 4.0,
        project: str | None = None,
        started_by: str | None = None,
    ) -> None:
        check_driver(driver)
        self._address = dataclasses.replace(read_address(uri, database=database), started_by=started_by)
        self._connection = Connection(self._address, driver, timeout_s, project or database)
        self._again = partial(
            MongoStore, uri, database=database, driver=driver, timeout_s=timeout_s, project=project, started_by=started_by
        )

    async def open(self) -> None:
        """Connect, and see that the database can be read, within the time-out.

        Raises:
            UsageError: It can't: the message says why, and never holds the password.
        """
        await self._connection.open()

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()

    def another(self) -> MongoStore:
        """The same store, not open; see `Store.another`."""
        return self._again()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def database(self) -> Any:
        """The driver's own database, for what a store can't say, such as an aggregation."""
        return self._connection.database

    def beanie_database(self) -> Any:
        """The database to give to `init_beanie`, so that the Documents' own methods reach it; with `skip_indexes=True`."""
        return self._connection.beanie_database()

    async def ensure(self, collection: Collection) -> Ensured:
        """Create the collection and its indexes where they are missing; see `Store.ensure`."""
        with self._asking(collection):
            return await self._connection.ensure(collection)

    async def structure(self) -> Mapping[str, ObservedCollection]:
        """The collections that are there, with their indexes; see `Store.structure`."""
        with self._asking():
            return await mongo_structure.structure(self._connection.database)

    async def drop_index(self, collection: str, name: str) -> bool:
        """Drop an index; see `Store.drop_index`."""
        with self._asking():
            self._connection.forget(collection)
            return await mongo_structure.drop_index(self._connection.database, collection, name)

    async def drop_collection(self, name: str, *, with_records: bool = False) -> bool:
        """Drop a collection; see `Store.drop_collection`. A record that is written at just that moment is lost."""
        with self._asking():
            self._connection.forget(name)
            return await mongo_structure.drop_collection(self._connection.database, name, with_records=with_records)

    async def get(self, collection: Collection, id: str) -> Record | None:  # noqa: A002 - the field's name
        """The record with this id."""
        with self._asking(collection):
            documents = await self._reading(collection)
            found = await documents.get(id)
        return found.record if found else None

    async def get_many(self, collection: Collection, ids: Sequence[str]) -> list[Record]:
        """The records with these ids, in the order of the ids; those that are not there are left out."""
        found: dict[str, Stored] = {}
        with self._asking(collection):
            documents = await self._reading(collection)
            for some in _chunks(dict.fromkeys(ids)):
                found |= await documents.get_many(some)
        return [found[one].record for one in ids if one in found]

    async def create(self, collection: Collection, record: Record) -> Record:
        """Store a new record; see `Store.create`."""
        new = mongo_records.document(collection, record)
        with self._asking(collection):
            documents = await self._writing(collection)
            return await documents.create(new)

    async def replace(
        self, collection: Collection, record: Record, *, if_rev: int | None = None, known: Record | None = None
    ) -> Record:
        """Give a record new data; see `Store.replace`."""
        new = mongo_records.document(collection, record)
        with self._asking(collection):
            documents = await self._writing(collection)
            return await documents.replace(new, if_rev, known)

    async def patch(
        self,
        collection: Collection,
        id: str,  # noqa: A002 - the field's name
        changes: Mapping[str, Any],
        *,
        if_rev: int | None = None,
    ) -> Record:
        """Change some top-level fields of a record; see `Store.patch`. The others stay as MongoDB has them."""
        with self._asking(collection):
            documents = await self._writing(collection)
            return await documents.patch(id, changes, if_rev)

    async def upsert_many(self, collection: Collection, records: Iterable[Record], *, as_stored: bool = False) -> Written:
        """Store records whether or not they are there: on an error, the first of them are; see `Store.upsert_many`."""
        last = {record.id: record for record in records}
        batches: list[list[Document]] = []
        for some in _chunks(last.values()):
            batches.append([mongo_records.document(collection, record) for record in some])
            await asyncio.sleep(0)
        done: list[Written] = []
        with self._asking(collection):
            documents = await self._writing(collection)
            for batch in batches:
                done.append(await documents.upsert(batch, as_stored=as_stored))  # noqa: PERF401 - one after the other
        return Written(*map(sum, zip(*map(dataclasses.astuple, done), strict=True)))

    async def delete(self, collection: Collection, id: str, *, if_rev: int | None = None) -> bool:  # noqa: A002 - the field's name
        """Delete a record; see `Store.delete`."""
        with self._asking(collection):
            documents = await self._reading(collection)
            return await documents.delete(id, if_rev)

    async def delete_where(self, collection: Collection, where: Sequence[Condition]) -> int:
        """Delete the records that meet all conditions, all of them when there are none, and say how many."""
        conditions = checked(where)
        with self._asking(collection):
            documents = await self._reading(collection)
            return await documents.delete_where(where_filter(collection, conditions, None, object_ids=documents.object_ids))

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
        order, conditions = sort_order(sort), checked(where)
        behind = after_filters(order, read_cursor(after, order)) if after is not None else [{}]
        with self._asking(collection):
            documents = await self._reading(collection)
            chosen = where_filter(collection, conditions, canonical(text), object_ids=documents.object_ids)
            return await documents.find([all_of([chosen, one]) for one in behind], order, limit, skip)

    async def count(self, collection: Collection, where: Sequence[Condition] = (), *, text: str | None = None) -> int:
        """How many records meet all conditions."""
        conditions = checked(where)
        with self._asking(collection):
            documents = await self._reading(collection)
            chosen = where_filter(collection, conditions, canonical(text), object_ids=documents.object_ids)
            return int(await documents.driver.count_documents(chosen))

    async def versions(self) -> Mapping[str, int]:
        """The version of every collection, by name; see `Store.versions`."""
        with self._asking():
            return await self._connection.versions()

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

    @contextlib.contextmanager
    def _asking(self, collection: Collection | None = None) -> Iterator[None]:
        """The driver's errors in a user's words."""
        try:
            yield
        except (errors.PyMongoError, BSONError) as error:
            raise translated(error, self._address, collection) from error

    async def _reading(self, collection: Collection) -> Documents:
        object_ids = await self._connection.has_object_ids(collection)
        connection = self._connection
        return Documents(collection, connection.driven(collection), object_ids, connection.tell, connection.patience)

    async def _writing(self, collection: Collection) -> Documents:
        """As `_reading`, of a collection that is there."""
        if not self._connection.is_ensured(collection):
            await self._connection.patience.persistently(lambda: self._connection.ensure(collection))
        return await self._reading(collection)


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while some := list(islice(remaining, _BATCH)):
        yield some
