"""What the store on MongoDB does with one collection: reads, and writes that compare revisions.

A write that another one overtakes is begun anew with what is there then, so it lands on what it has seen, or says that it can't.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pulpo.store import mongo_records
from pulpo.store.base import Collection, NotFound, Page, Record, Sort, Stale, StoreError, Written
from pulpo.store.cursor import make_cursor
from pulpo.store.mongo_driver import errors, read_bson, read_bson_as_it_is, split_bson
from pulpo.store.mongo_patience import Patience
from pulpo.store.mongo_query import Filter, keys_of, sort_keys, stored_id
from pulpo.store.mongo_records import Batch, Document, Stored, label

#: How often a write may be overtaken; each time another one has landed.
_ROUNDS: Final = 1000
_DUPLICATE: Final = 11000


@dataclass(frozen=True, slots=True)
class Documents:
    """A collection in an open database; `tell` is called when something in it changed."""

    collection: Collection
    #: The driver's own collection.
    driver: Any
    object_ids: bool
    tell: Callable[[Collection], None]
    patience: Patience

    async def get(self, record_id: str) -> Stored | None:
        """The record with this id."""
        found = await self.driver.find_one({"_id": self._id(record_id)})
        return mongo_records.stored(found) if found is not None else None

    async def get_many(self, ids: Sequence[str]) -> dict[str, Stored]:
        """The records with these ids that are there, by id."""
        return await self._present([self._id(one) for one in ids])

    async def create(self, new: Document) -> Record:
        """Insert a record."""
        made = mongo_records.inserted(new)
        try:
            await self.driver.insert_one(mongo_records.content(made, {}, object_ids=self.object_ids))
        except errors.DuplicateKeyError as error:
            fields = _broken(error.details)
            raise (
                mongo_records.conflict(self.collection, fields) if fields else mongo_records.taken(self.collection, made.id)
            ) from error
        self.tell(self.collection)
        return made

    async def replace(self, new: Document, if_rev: int | None, known: Record | None = None) -> Record:
        """Give a record new data; `known` is what was just read of it."""
        if known is not None and (over := await self._over(known, new)) is not None:
            return over
        for _ in range(_ROUNDS):
            old = await self._there(new.record.id, if_rev)
            if not mongo_records.is_same(old.record, new):
                made = mongo_records.replaced(old.record, new.record, new.data)
                whole = mongo_records.content(made, old.foreign, object_ids=self.object_ids)
                landed = await self._landed(self.driver.replace_one, old, whole)
            elif mongo_records.is_touched(old.record, new.record):
                made = mongo_records.touched(old.record, new.record)
                landed = await self._landed(
                    self.driver.update_one, old, {"$set": {"_run": made.run, "_operation": made.operation}}
                )
            else:
                return old.record
            if landed:
                return made
        raise self._overtaken(new.record.id)

    async def _over(self, known: Record, new: Document) -> Record | None:
        """The record written over one that is known; None where that has moved on, or there is nothing to write."""
        data = known.data
        changed = mongo_records.changed(data, new.data)
        gone = {name: "" for name in data if name not in new.data}
        if not changed and not gone:
            return None
        made = mongo_records.replaced(known, new.record, new.data)
        change: dict[str, Any] = {"$set": {**mongo_records.envelope(made), **changed}, **({"$unset": gone} if gone else {})}
        return made if await self._landed(self.driver.update_one, Stored(known, {}), change) else None

    async def patch(self, record_id: str, changes: Mapping[str, Any], if_rev: int | None) -> Record:
        """Change the top-level fields given; the others are not written."""
        # Checked when the record is known to be there, as the embedded store does.
        given: dict[str, Any] | None = None
        for _ in range(_ROUNDS):
            old = await self._there(record_id, if_rev)
            if given is None:
                given = mongo_records.document(self.collection, Record(record_id, dict(changes))).data
            data = old.record.data
            changed = mongo_records.changed(data, given)
            if not changed:
                return old.record
            made = mongo_records.replaced(old.record, Record(record_id, {}), {**data, **changed})
            if await self._landed(self.driver.update_one, old, {"$set": {**mongo_records.envelope(made), **changed}}):
                return made
        raise self._overtaken(record_id)

    async def upsert(self, documents: Sequence[Document], *, as_stored: bool = False) -> Written:
        """Insert or update records, each id once, in order; new ones `as_stored` keep their revisions and times.

        A server that is gone is waited for, for some seconds: all that was written is found again.
        """
        batch = Batch(documents, object_ids=self.object_ids, as_stored=as_stored)

        async def write() -> bool:
            writes = batch.plan(await self._present(batch.ids))
            return not writes or await self._wrote(batch, writes)

        for _ in range(_ROUNDS):
            if await self.patience.persistently(write):
                return batch.written
        raise self._overtaken(documents[0].record.id)

    async def delete(self, record_id: str, if_rev: int | None) -> bool:
        """Delete a record; False when there is none."""
        where: Filter = {"_id": self._id(record_id)}
        if if_rev is not None:
            where["_rev"] = if_rev or None
        for _ in range(_ROUNDS):
            if (await self.driver.delete_one(where)).deleted_count:
                self.tell(self.collection)
                return True
            try:
                await self._there(record_id, if_rev)
            except NotFound:
                return False
        raise self._overtaken(record_id)

    async def delete_where(self, where: Filter) -> int:
        """Delete the records that `where` is true of and say how many."""
        try:
            deleted = int((await self.driver.delete_many(where)).deleted_count)
        except errors.PyMongoError:
            self.tell(self.collection)
            raise
        if deleted:
            self.tell(self.collection)
        return deleted

    async def find(self, ways: Sequence[Filter], order: Sequence[Sort], limit: int, skip: int) -> Page:
        """A page of the records that any of `ways` is true of; those of one stand before those of the next one."""
        unread = skip if len(ways) > 1 else 0  # nobody knows how many of them are behind the first way
        batches: list[bytes] = []
        records: list[Record] = []
        for where in ways:
            left = unread + limit + 1 - len(records)
            cursor = self.driver.find_raw_batches(
                where, sort=sort_keys(order), skip=skip - unread, limit=left, allow_disk_use=True
            )
            found = [batch async for batch in cursor if batch]
            batches += found
            records += [mongo_records.record_of(one) for batch in found for one in read_bson(batch)]
            if len(records) > unread + limit:
                break
        records = records[unread:]
        if len(records) <= limit:
            return Page(records)
        # The one more than asked for is the last of the last batch; the keys are of the one before.
        (raw,) = read_bson_as_it_is([one for batch in batches[-2:] for one in split_bson(batch)][-2])
        return Page(records[:limit], make_cursor(order, keys_of(raw, order)))

    async def _present(self, ids: Sequence[Any]) -> dict[str, Stored]:
        cursor = self.driver.find_raw_batches({"_id": {"$in": ids}})
        found = [mongo_records.stored(one) async for batch in cursor for one in read_bson(batch)]
        return {one.record.id: one for one in found}

    async def _there(self, record_id: str, if_rev: int | None) -> Stored:
        """The record that has to be there, and at this revision."""
        found = await self.get(record_id)
        if found is None:
            raise NotFound(f"there is no such record: {label(self.collection, record_id)}")
        if if_rev is not None and found.record.rev != if_rev:
            raise Stale(
                f"{label(self.collection, record_id)} is not at revision {if_rev} any more, but at: {found.record.rev}",
                hint="read it again and repeat the change",
            )
        return found

    async def _landed(self, write: Callable[..., Any], old: Stored, change: Mapping[str, Any]) -> bool:
        """Whether a write of one record found it at the revision that it is meant for."""
        try:
            result = await write({"_id": self._id(old.record.id), **old.same_revision}, change)
        except errors.DuplicateKeyError as error:
            raise mongo_records.conflict(self.collection, _broken(error.details)) from error
        if result.matched_count:
            self.tell(self.collection)
        return bool(result.matched_count)

    async def _wrote(self, batch: Batch, writes: Sequence[Any]) -> bool:
        try:
            return batch.landed(await self.driver.bulk_write(writes))
        except errors.BulkWriteError as error:
            failed = error.details["writeErrors"]
            if not failed or failed[0].get("code") != _DUPLICATE:
                raise
            fields = _broken(failed[0])
            if fields:
                raise mongo_records.conflict(self.collection, fields) from error
            return False  # Another process inserted a record of this id meanwhile.
        finally:
            self.tell(self.collection)

    def _id(self, record_id: str) -> Any:
        return stored_id(record_id, object_ids=self.object_ids)

    def _overtaken(self, record_id: str) -> StoreError:
        return StoreError(
            f"others change the record faster than this write gets through: {label(self.collection, record_id)}",
            hint="do it again, or have fewer writers of one record",
        )


def _broken(details: Mapping[str, Any] | None) -> list[str]:
    """The fields of the unique index that a write would have broken; none when it is that of the ids."""
    return [name for name in (details or {}).get("keyPattern", {}) if name != "_id"]
