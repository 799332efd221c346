"""Records as documents of MongoDB, and what a batch of them has to write.

What the store keeps stands beside a record's own fields, under names with `_`. Other such names are another program's, as
Beanie's `_class_id` is: they are not part of a record, and stay.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from pulpo.store.base import Collection, Conflict, Record, StoreError, Written
from pulpo.store.mongo_driver import InsertOne, ReplaceOne, UpdateMany, UpdateOne, bson_of
from pulpo.store.mongo_query import stored_id
from pulpo.store.query import ENVELOPE
from pulpo.store.values import MAX_BYTES, canonical_data, encode, now, to_json

#: A record whose BSON is shorter can't have a text that is too long.
_SURELY_FITS: Final = MAX_BYTES // 4
#: Kinds of values that are written alike where they are equal, as 0.0 and -0.0 are not, nor a list of 1 and one of 1.0.
_SAME_IF_EQUAL: Final = frozenset({str, int, bool, type(None), datetime})


class Document(NamedTuple):
    """A record about to be written, its data in canonical form, and the BSON of that."""

    record: Record
    data: dict[str, Any]
    bson: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A document that is there: the record, and the fields that are another program's."""

    record: Record
    foreign: dict[str, Any] = field(default_factory=dict)

    @property
    def same_revision(self) -> dict[str, Any]:
        """What is true of the document as long as nobody moved its revision; another program's has none."""
        return {"_rev": self.record.rev or None}


def document(collection: Collection, record: Record) -> Document:
    """The record with its data in canonical form.

    Raises:
        StoreError: It can't be stored; the message says which record, and why.
    """
    collection.check_id(record.id)
    try:
        data = canonical_data(record.data)
        content = bson_of(data)
        if len(content) > _SURELY_FITS:
            encode(data)
    except StoreError as error:
        raise StoreError(f"{label(collection, record.id)}: {error.message}", hint=error.hint) from error
    return Document(record, data, content)


def stored(document: dict[str, Any]) -> Stored:
    """The record that a document holds, and what is another program's; the document itself becomes the record's data."""
    record = _record(document)
    return Stored(record, _without_foreign(document))


def record_of(document: dict[str, Any]) -> Record:
    """The record that a document holds, which itself becomes its data. A page has many: this is most of its cost here."""
    record = _record(document)
    _without_foreign(document)
    return record


def _record(document: dict[str, Any]) -> Record:
    pop = document.pop
    return Record(
        str(pop("_id")), document, pop("_rev", 0), pop("_run", None), pop("_operation", None), pop("_created", None),
        pop("_updated", None),
    )  # fmt: skip


def _without_foreign(document: dict[str, Any]) -> dict[str, Any]:
    """What is another program's, taken out of the document."""
    names = [name for name in document if name[:1] == "_"]
    return {name: document.pop(name) for name in names} if names else {}


def inserted(new: Document, *, as_stored: bool = False) -> Record:
    """The record as it is when it is new; `as_stored`, with the revision and the times that it has."""
    stamp = now()
    if as_stored:
        was = new.record
        return dataclasses.replace(was, data=new.data, created=was.created or stamp, updated=was.updated or stamp)
    return Record(new.record.id, new.data, 1, new.record.run, new.record.operation, stamp, stamp)


def replaced(old: Record, new: Record, data: dict[str, Any]) -> Record:
    """The record at its next revision, with this data."""
    run, operation = _made_by(old, new)
    return Record(old.id, data, old.rev + 1, run, operation, old.created, now())


def content(record: Record, foreign: Mapping[str, Any], *, object_ids: bool) -> dict[str, Any]:
    """The whole document of a record."""
    return {"_id": stored_id(record.id, object_ids=object_ids), **envelope(record), **foreign, **record.data}


def envelope(record: Record) -> dict[str, Any]:
    """What the store keeps beside the data, but for the id."""
    return {name: getattr(record, attribute) for name, attribute in ENVELOPE.items() if name != "_id"}


def is_same(old: Record, new: Document) -> bool:
    """Whether the data is the same; a number that changed its kind is not."""
    if old.data != new.data:
        return False
    return bson_of(old.data) == new.bson or encode(old.data) == encode(new.data)


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `new` that are not so in `old`; a number that changed its kind is not."""
    return {name: value for name, value in new.items() if name not in old or not _is_same_value(old[name], value)}


def _is_same_value(old: Any, new: Any) -> bool:
    if old != new:
        return False
    kind = type(new)
    if kind is type(old) and (kind in _SAME_IF_EQUAL or bson_of({"": old}) == bson_of({"": new})):
        return True
    return to_json(old) == to_json(new)


def is_touched(old: Record, new: Record) -> bool:
    """Whether another run or operation made an equal record."""
    return (old.run, old.operation) != _made_by(old, new)


def touched(old: Record, new: Record) -> Record:
    """The record as another run or operation made it again: no new revision."""
    run, operation = _made_by(old, new)
    return dataclasses.replace(old, run=run, operation=operation)


class Batch:
    """Records to be stored, and what became of each so far: what another process changes meanwhile is planned again."""

    def __init__(self, documents: Sequence[Document], *, object_ids: bool, as_stored: bool = False) -> None:
        self._documents = documents
        self._object_ids = object_ids
        self._as_stored = as_stored
        self._done: dict[str, str] = {}
        #: The ids that only get another run and operation, by the revision that they are at and by these.
        self._touched: dict[tuple[int | None, str | None, str | None], list[Any]] = {}
        self._updates = self._inserts = 0

    @property
    def ids(self) -> list[Any]:
        """The ids, as they are stored."""
        return [stored_id(new.record.id, object_ids=self._object_ids) for new in self._documents]

    @property
    def written(self) -> Written:
        """How many records were inserted, updated, and equal."""
        counts = dict.fromkeys(("inserted", "updated", "unchanged"), 0)
        for kind in self._done.values():
            counts[kind] += 1
        return Written(**counts)

    def plan(self, present: Mapping[str, Stored]) -> list[Any]:
        """What has to be written now, in the order of the records, given those that are there."""
        writes: list[Any] = []
        self._touched = {}
        self._updates = self._inserts = 0
        for new in self._documents:
            old = present.get(new.record.id)
            write = self._insert(new, alone=not present) if old is None else self._update(old, new)
            if write is not None:
                writes.append(write)
        # What a run made again has one write for all of a revision: it is most of most batches.
        for (rev, run, operation), ids in self._touched.items():
            writes.append(UpdateMany({"_id": {"$in": ids}, "_rev": rev}, {"$set": {"_run": run, "_operation": operation}}))
        return writes

    def landed(self, result: Any) -> bool:
        """Whether all that was planned was written: nobody else wrote the same records meanwhile."""
        inserts = result.inserted_count + len(result.upserted_ids or ())
        return bool(result.matched_count == self._updates and inserts == self._inserts)

    def _insert(self, new: Document, *, alone: bool) -> Any:
        self._done[new.record.id] = "inserted"
        self._inserts += 1
        whole = content(inserted(new, as_stored=self._as_stored), {}, object_ids=self._object_ids)
        if alone:
            return InsertOne(whole)
        # Of the same kind as updates are, so that all travel in one message.
        return UpdateOne({"_id": whole.pop("_id")}, {"$setOnInsert": whole}, upsert=True)

    def _update(self, old: Stored, new: Document) -> Any:
        where = {"_id": stored_id(new.record.id, object_ids=self._object_ids), **old.same_revision}
        if not is_same(old.record, new):
            self._done[new.record.id] = "updated"
            self._updates += 1
            whole = content(replaced(old.record, new.record, new.data), old.foreign, object_ids=self._object_ids)
            return ReplaceOne(where, whole)
        self._done.setdefault(new.record.id, "unchanged")
        if is_touched(old.record, new.record):
            self._updates += 1
            again = touched(old.record, new.record)
            self._touched.setdefault((where["_rev"], again.run, again.operation), []).append(where["_id"])
        return None


def conflict(collection: Collection, fields: Iterable[str]) -> Conflict:
    """What a broken unique index means to a user."""
    return Conflict(
        f"two records of {collection.name} would agree in what has to be unique: {', '.join(fields)}",
        hint="change one of them, or make the index not unique",
    )


def taken(collection: Collection, record_id: str) -> Conflict:
    """What an id that is taken means to a user."""
    return Conflict(
        f"there is a record with this id already: {label(collection, record_id)}",
        hint="replace it, or give the new one another id",
    )


def label(collection: Collection, record_id: str) -> str:
    """A record's name in messages."""
    return f"{collection.name}/{record_id}"


def _made_by(old: Record, new: Record) -> tuple[str | None, str | None]:
    return (
        new.run if new.run is not None else old.run,
        new.operation if new.operation is not None else old.operation,
    )
