"""What every store does: the `Store` protocol, the records it keeps, and the errors it raises.

StoreError
├── Conflict             an id or a unique value is taken
├── Stale                the record has moved to another revision
├── NotFound             there is no such record
└── Lost                 the store can't be reached any more

A record's own values are addressed by name (`company.name`), what the store keeps beside them by `_id`, `_rev`, `_run`,
`_operation`, `_created` and `_updated`: a model's field never begins with `_`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from pulpo.errors import PulpoError

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "exists", "has", "contains", "startswith"]

#: Where a store keeps the version of each collection; no collection of a project can have its name.
VERSIONS = "pulpo_collections"

#: An ObjectId of MongoDB as text.
OBJECT_ID = re.compile(r"[0-9a-f]{24}")

#: Whose things are that lie where only one project's can.
ANY_PROJECT = "*"

_UNIQUE = ":unique"
_COLLECTION = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,119}")


class StoreError(PulpoError):
    """The store refused, or could not do, what it was asked."""


class Conflict(StoreError):  # noqa: N818 - read as what happened: `except Conflict`
    """The id of a record, or a value that has to be unique, is taken."""


class Stale(StoreError):  # noqa: N818
    """The record is at another revision than the one given."""


class NotFound(StoreError):  # noqa: N818
    """There is no such record."""


class Lost(StoreError):  # noqa: N818
    """The store can't be reached any more; other calls would have to wait for it, too."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index over fields; a unique one lets records without a value in one of its fields be."""

    fields: tuple[str, ...]
    unique: bool = False

    @property
    def label(self) -> str:
        """What it is, as the end of its name in a store: `posted,salary`, or `url:unique`."""
        return f"{','.join(self.fields)}{_UNIQUE if self.unique else ''}"

    @classmethod
    def of_label(cls, label: str) -> Index:
        """The index whose `label` it is."""
        return cls(tuple(label.removesuffix(_UNIQUE).split(",")), unique=label.endswith(_UNIQUE))


@dataclass(frozen=True, slots=True)
class Collection:
    """What a store has to know of a model: where its records are, what is indexed, which fields a text search looks in.

    Raises:
        StoreError: The name can't be one of a collection.
    """

    name: str
    indexes: tuple[Index, ...] = ()
    text: tuple[str, ...] = ()
    #: Ids are 24 hex digits and become ObjectIds where a store has such, as Beanie's Documents want them.
    object_ids: bool = False

    def __post_init__(self) -> None:
        if not _COLLECTION.fullmatch(self.name):
            raise StoreError(
                f"a collection can't have this name: {self.name!r}",
                hint="begin with a letter or _, go on with at most 119 letters, digits, _, . and -",
            )
        if self.name == VERSIONS or self.name.startswith("system."):
            raise StoreError(f"the store keeps this name for itself: {self.name!r}", hint="choose another collection")

    def check_id(self, id: str) -> None:  # noqa: A002 - the field's name
        """Raise a `StoreError` unless a record of this collection can have the id."""
        if not id:
            raise StoreError(f"the id of a record can't be empty, in collection: {self.name}")
        if self.object_ids and not OBJECT_ID.fullmatch(id):
            raise StoreError(
                f"the ids of {self.name} are ObjectIds, this is none: {id!r}", hint="give 24 hex digits, in lower case"
            )


@dataclass(frozen=True, slots=True)
class Record:
    """An instance of a model, as stored.

    To write one, give `id` and `data`, and `run` and `operation` where a run made it; the rest is the store's to set.
    A record read has its data in canonical form (see `pulpo.store.values`); the order of its keys means nothing.
    """

    id: str
    data: dict[str, Any]
    rev: int = 1
    run: str | None = None
    operation: str | None = None
    created: datetime | None = None
    updated: datetime | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one field; conditions given together have all to hold.

    Numbers match numbers only, strings strings and times times: `True` is not `1`. `eq None` matches a missing field too,
    and `ne` and `nin` match records that lack the field. The order operators take numbers, strings and times.
    `has` tests the items of a list; to all other operators but `exists` a list is a value that is none of those asked for, and
    what stands in its items is missing. `contains` ignores case, letter by letter (`Ñ` is `ñ`, but `ß` is not `ss`),
    `startswith` does not. `exists` takes a bool: is the field there, be it null; of what the store keeps itself: is it set.
    """

    field: str
    operator: Operator
    value: Any = None


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort key. Missing and null come first, or last when descending; strings go by code point."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Records in order; `next` is the cursor of the page after, or None on the last."""

    items: list[Record] = field(default_factory=list)
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """How many records a batch inserted, updated, and found to be equal already."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Ensured:
    """What was made of a collection: all of it where it is `created`, and which indexes."""

    created: bool = False
    indexes: tuple[Index, ...] = ()


@dataclass(frozen=True, slots=True)
class ObservedIndex:
    """An index that is there."""

    #: As the store has it, for `Store.drop_index`.
    name: str
    #: What it does; of one that was altered, what it was made for.
    index: Index
    #: The project that made it; None is somebody else, `ANY_PROJECT` whoever asks.
    project: str | None = None
    #: Whether it was changed since it was made, and does not what its name says.
    altered: bool = False

    def is_of(self, project: str) -> bool:
        """Whether it is the project's to drop."""
        return self.project in (project, ANY_PROJECT)


@dataclass(frozen=True, slots=True)
class ObservedCollection:
    """A collection that is there, whoever made it."""

    #: Sorted by name: those that a project made, and others that do what one of a `Collection` would.
    indexes: tuple[ObservedIndex, ...] = ()
    #: About how many there are; 0 only where there is none.
    records: int = 0
    #: The project that made it; None is somebody else, `ANY_PROJECT` whoever asks.
    project: str | None = None

    def is_of(self, project: str) -> bool:
        """Whether it is the project's to drop."""
        return self.project in (project, ANY_PROJECT)


@dataclass(frozen=True, slots=True)
class Change:
    """A hint that something in a collection changed; `version` only grows."""

    collection: str
    version: int


class Store(Protocol):
    """A place for records, safe for several processes at once.

    A collection that was never ensured reads as empty, and a write ensures it. All writes can be repeated: after an error or a
    cancelled call, do the same call again. All methods raise `StoreError` when the store can't be reached or refuses.
    """

    async def open(self) -> None:
        """Make the store ready; an open one stays as it is."""
        ...

    async def close(self) -> None:
        """Let go of files and connections; a closed store stays as it is, and can be opened again."""
        ...

    def another(self) -> Store:
        """The same store, not open: for another event loop."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def ensure(self, collection: Collection) -> Ensured:
        """Create the collection and its indexes where they are missing, and say which; nothing is ever dropped.

        What is made carries the project's mark in the call that makes it.

        Raises:
            Conflict: Records that are there break a new unique index.
        """
        ...

    async def structure(self) -> Mapping[str, ObservedCollection]:
        """The collections that are there, with their indexes, sorted by name; not what the store keeps for itself."""
        ...

    async def drop_index(self, collection: str, name: str) -> bool:
        """Drop an index of this name, whoever made it; False when there is none."""
        ...

    async def drop_collection(self, name: str, *, with_records: bool = False) -> bool:
        """Drop a collection with its indexes, whoever made it; False when there is none.

        Its version moves on. A write to it makes it anew.

        Raises:
            Conflict: It holds records, and `with_records` is not said.
        """
        ...

    async def get(self, collection: Collection, id: str) -> Record | None:  # noqa: A002 - the field's name
        """The record with this id."""
        ...

    async def get_many(self, collection: Collection, ids: Sequence[str]) -> list[Record]:
        """The records with these ids, in the order of the ids; those that are not there are left out."""
        ...

    async def create(self, collection: Collection, record: Record) -> Record:
        """Store a new record, at revision 1.

        Raises:
            Conflict: Its id, or a unique value, is taken.
        """
        ...

    async def replace(
        self, collection: Collection, record: Record, *, if_rev: int | None = None, known: Record | None = None
    ) -> Record:
        """Give a record new data; equal data makes no new revision. `run` and `operation` stay where the new ones are None.

        `known` is the record at revision `if_rev` as it was just read: a store need not read it once more then.

        Raises:
            NotFound: There is no record with this id.
            Stale: It is not at revision `if_rev`.
            Conflict: A unique value is taken.
        """
        ...

    async def patch(
        self,
        collection: Collection,
        id: str,  # noqa: A002 - the field's name
        changes: Mapping[str, Any],
        *,
        if_rev: int | None = None,
    ) -> Record:
        """Change the top-level fields given and keep all others; no change makes no new revision.

        Raises:
            NotFound: There is no record with this id.
            Stale: It is not at revision `if_rev`.
            Conflict: A unique value is taken.
        """
        ...

    async def upsert_many(self, collection: Collection, records: Iterable[Record], *, as_stored: bool = False) -> Written:
        """Store records whether or not their ids are there; of several with one id the last counts.

        Equal data makes no new revision, and still gets the `run` and `operation` given; None leaves what is there. With
        `as_stored` new records keep the revision and the times that they come with: they were read from another store.

        Raises:
            Conflict: A unique value is taken. What of the batch was stored is up to the store: give it again when mended.
        """
        ...

    async def delete(self, collection: Collection, id: str, *, if_rev: int | None = None) -> bool:  # noqa: A002
        """Delete a record; False when there is none.

        Raises:
            Stale: It is not at revision `if_rev`.
        """
        ...

    async def delete_where(self, collection: Collection, where: Sequence[Condition]) -> int:
        """Delete the records that meet all conditions, all of them when there are none, and say how many."""
        ...

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
        """A page of at most `limit` of the records that meet all conditions, in the order of `sort`.

        The id is the last sort key, in the direction of the one before it, so that the order is always total. `text` is looked
        for in the collection's text fields, in any case. `after` is the `next` of a page with the same sort.
        """
        ...

    async def count(self, collection: Collection, where: Sequence[Condition] = (), *, text: str | None = None) -> int:
        """How many records meet all conditions."""
        ...

    async def versions(self) -> Mapping[str, int]:
        """The version of every collection, by name. Each only grows: their sum tells one state of the store from another."""
        ...

    def watch(self, *, every: float = 0.5) -> AsyncIterator[Change]:
        """Say which collections changed since the iteration began, whoever changed them; looks every `every` seconds, never ends.

        Changes between two looks are one; collections come sorted by name.
        """
        ...


def not_empty(collection: str) -> Conflict:
    """Why a collection that was to be dropped is not."""
    return Conflict(
        f"the collection is not empty: {collection}", hint="plan again: its records are kept unless their loss is asked for"
    )
