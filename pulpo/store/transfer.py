"""Records on their way: from one store to another, and to and from lines of JSON.

A line is a record with its own fields, and what the store keeps beside them under `_id`, `_rev`, `_run`, `_operation`,
`_created` and `_updated`; `_model` says of which model it is. All of it can be done again: what is there already stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pulpo.names import did_you_mean
from pulpo.store.base import Collection, Record, Sort, Store, StoreError, Written
from pulpo.store.query import ENVELOPE
from pulpo.store.values import decode, encode, from_iso, to_iso

#: The key of a line that says of which model the record is.
MODEL: Final = "_model"
_PAGE: Final = 1000
_BY_ID: Final = (Sort("_id"),)


@dataclass(frozen=True, slots=True)
class Copied:
    """How a collection was copied: what was read, what became of it, and how many records both stores have now."""

    collection: str
    read: int
    written: Written
    source: int
    target: int

    @property
    def complete(self) -> bool:
        """Whether nothing is missing: all that the source has was read, and the target has no fewer."""
        return self.read == self.source <= self.target


async def every(store: Store, collection: Collection) -> AsyncIterator[list[Record]]:
    """All records of a collection in the order of their ids, some at a time."""
    after: str | None = None
    while True:
        page = await store.find(collection, sort=_BY_ID, limit=_PAGE, after=after)
        if page.items:
            yield page.items
        if page.next is None:
            return
        after = page.next


async def copy(source: Store, target: Store, collection: Collection, on_progress: Callable[[int], None]) -> Copied:
    """Copy a collection with its revisions and times; `on_progress` is told how many records are done.

    Records that the target has are compared, and changed where they differ: copying again goes on where it stopped.
    """
    await target.ensure(collection)
    read = 0
    total = Written()
    async for records in every(source, collection):
        total = added(total, await target.upsert_many(collection, records, as_stored=True))
        read += len(records)
        on_progress(read)
    return Copied(collection.name, read, total, await source.count(collection), await target.count(collection))


def added(one: Written, other: Written) -> Written:
    """The counts of both."""
    return Written(one.inserted + other.inserted, one.updated + other.updated, one.unchanged + other.unchanged)


def line_of(model: str, record: Record, *, plain: bool) -> str:
    """A record as a line of JSON, without its end; `plain` writes times as texts, which a class reads as times again."""
    envelope = {name: getattr(record, attribute) for name, attribute in ENVELOPE.items()}
    beside = {MODEL: model} | {k: to_iso(v) if isinstance(v, datetime) else v for k, v in envelope.items() if v is not None}
    data = json.dumps(record.data, ensure_ascii=False, default=_time, separators=(",", ":")) if plain else encode(record.data)
    head = json.dumps(beside, ensure_ascii=False, separators=(",", ":"))
    return head if data == "{}" else f"{head[:-1]},{data[1:]}"


@dataclass(frozen=True, slots=True)
class Line:
    """What a line of JSON says: a record whose id may be missing (""), and its model, if it says it."""

    model: str | None
    record: Record


def read_line(text: str) -> Line:
    """The record of a line of JSON; its fields are not looked at.

    Raises:
        StoreError: It is no JSON object, or what stands beside the record's own fields makes no sense.
    """
    try:
        data: Any = decode(text)
    except json.JSONDecodeError as error:
        raise StoreError(f"it is not JSON: {error.msg}, at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:
        raise StoreError(f"it is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise StoreError(f"a record is a JSON object, not: {type(data).__name__}")
    beside = {key: data.pop(key) for key in [key for key in data if key.startswith("_")]}
    known = {MODEL: "", **ENVELOPE}
    unknown = next((key for key in beside if key not in known), None)
    if unknown is not None:
        raise StoreError(f"there is no such field: {unknown}", hint=did_you_mean(unknown, known))
    model = _text(beside, MODEL)
    record = Record(
        id=_text(beside, "_id") or "",
        data=data,
        rev=_revision(beside),
        run=_text(beside, "_run"),
        operation=_text(beside, "_operation"),
        created=_moment(beside, "_created"),
        updated=_moment(beside, "_updated"),
    )
    return Line(model, record)


def _time(value: object) -> str:
    if isinstance(value, datetime):
        return to_iso(value)
    raise TypeError(f"no value of a store: {type(value).__name__}")


def _text(beside: Mapping[str, Any], name: str) -> str | None:
    value = beside.get(name)
    if value is not None and not isinstance(value, str):
        raise StoreError(f"{name} is a text, not: {json.dumps(value, default=str)}")
    return value


def _revision(beside: Mapping[str, Any]) -> int:
    value = beside.get("_rev", 1)
    if type(value) is not int or value < 0:
        raise StoreError(f"_rev is a whole number from 0, not: {json.dumps(value, default=str)}")
    return value


def _moment(beside: Mapping[str, Any], name: str) -> datetime | None:
    text = _text(beside, name)
    try:
        return from_iso(text) if text is not None else None
    except ValueError:
        raise StoreError(f"{name} is a time such as 2026-01-31T06:00:00.000Z, not: {text}") from None
