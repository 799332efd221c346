"""Storing what several finished steps made, in few writes, and still knowing of each step what became of its records."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pulpo.run.batch import Made
from pulpo.store.base import Collection, Record, Store, Written
from pulpo.store.values import now

#: Records in one write.
BATCH = 10_000

#: Collections that are written at the same time, by a store that can; any other does them one by one without waiting for us.
_AT_ONCE = 32


class Finished(NamedTuple):
    """A step that is done, and what has to be stored before its state may be."""

    operation: str
    made: Sequence[Made] = ()
    #: Where each of `made` is stored.
    collections: Sequence[Collection] = ()


#: What became of a step's records, by model; or why they could not be stored.
Outcome = dict[str, Written] | Exception


class _Part(NamedTuple):
    operation: str
    made: Made


#: What goes into one collection.
_Group = tuple[Collection, list[_Part]]


async def store_made(store: Store, finished: Sequence[Finished]) -> dict[str, Outcome]:
    """What became of the records of each operation.

    Records that steps share are written in the order of the steps. A write that fails is tried again step by step, so that
    only the step at fault fails.
    """
    groups: dict[str, _Group] = {}
    for item in finished:
        for made, collection in zip(item.made, item.collections, strict=True):
            if made.rows:
                groups.setdefault(collection.name, (collection, []))[1].append(_Part(item.operation, made))
    results: dict[str, Outcome] = {item.operation: {} for item in finished}
    for parts, outcomes in await _store_groups(store, list(groups.values())):
        for part, written in zip(parts, outcomes, strict=True):
            before = results[part.operation]
            if isinstance(written, Exception):
                results[part.operation] = written
            elif isinstance(before, dict):
                before[part.made.model] = _sum(before[part.made.model], written) if part.made.model in before else written
    return results


async def upsert(store: Store, collection: Collection, rows: Sequence[Record]) -> Written:
    """Stores any number of records, some thousands at a time."""
    total = Written()
    for start in range(0, len(rows), BATCH):
        written = await store.upsert_many(collection, rows[start : start + BATCH])
        total = _sum(total, written)
    return total


async def _store_groups(store: Store, groups: Sequence[_Group]) -> list[tuple[list[_Part], list[Written | Exception]]]:
    """What became of each part of each group, in their order."""
    outcomes: list[list[Written | Exception]] = []
    for start in range(0, len(groups), _AT_ONCE):
        outcomes += await asyncio.gather(*(_store_parts(store, *group) for group in groups[start : start + _AT_ONCE]))
    return [(parts, outcome) for (_, parts), outcome in zip(groups, outcomes, strict=True)]


async def _store_parts(store: Store, collection: Collection, parts: Sequence[_Part]) -> list[Written | Exception]:
    rows = [row for part in parts for row in part.made.rows]
    if len(parts) > 1 and len({row.id for row in rows}) == len(rows):
        began = now()
        try:
            return await _shares(store, collection, parts, await upsert(store, collection, rows), began)
        except Exception:  # noqa: BLE001, S110 - whose fault it is comes out below
            pass
    outcomes: list[Written | Exception] = []
    for part in parts:
        try:
            outcomes.append(await upsert(store, collection, part.made.rows))
        except Exception as error:  # noqa: BLE001 - the step's failure
            outcomes.append(error)
    return outcomes


async def _shares(
    store: Store, collection: Collection, parts: Sequence[_Part], written: Written, began: dt.datetime
) -> list[Written | Exception]:
    """What each part has of what was written: known where all records fared alike, else read from the records' times."""
    total = sum(len(part.made.rows) for part in parts)
    for name in ("inserted", "unchanged", "updated"):
        if getattr(written, name) == total:
            return [Written(**{name: len(part.made.rows)}) for part in parts]
    return [_by_times(await store.get_many(collection, part.made.ids), began) for part in parts]


def _by_times(records: Iterable[Record], began: dt.datetime) -> Written:
    inserted = updated = unchanged = 0
    for record in records:
        if record.created is not None and record.created >= began:
            inserted += 1
        elif record.updated is not None and record.updated >= began:
            updated += 1
        else:
            unchanged += 1
    return Written(inserted, updated, unchanged)


def _sum(one: Written, other: Written) -> Written:
    return Written(one.inserted + other.inserted, one.updated + other.updated, one.unchanged + other.unchanged)
