"""What is in a MongoDB's database, and whose it is: a mark in each collection and index that is made, in the call that makes it.

A collection has the mark in its validator, which lets every document pass: it is the one part of a collection that takes a text.
An index has it in its name. What has none is another program's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pulpo.store.base import VERSIONS, Index, ObservedCollection, ObservedIndex, not_empty
from pulpo.store.mongo_driver import IndexModel, errors, settled

#: What a unique index looks at: MongoDB would take records without the field for equal.
_UNIQUE_KINDS: Final = ["string", "number", "date", "bool", "objectId", "object", "binData"]
_COLLECTION_MARK: Final = "pulpo.project="
_INDEX_MARK: Final = "pulpo."
#: What makes an index one over some records only, or one that compares in another way.
_LIMITS: Final = frozenset({"partialFilterExpression", "sparse", "collation", "hidden"})
_NO_COLLECTION, _NO_INDEX = 26, 27
#: Collections that are looked at at the same time.
_AT_ONCE: Final = 16


def validator(project: str) -> dict[str, Any]:
    """The mark of a collection that the project makes."""
    return {"$comment": f"{_COLLECTION_MARK}{project}"}


def index_model(index: Index, project: str) -> IndexModel:
    """The index as MongoDB makes it, under a name that says whose it is and what it is."""
    name = f"{_INDEX_MARK}{project}:{index.label}"
    keys = [(one, 1) for one in index.fields]
    if index.unique:
        return IndexModel(keys, name=name, unique=True, partialFilterExpression=unique_filter(index))
    # The id behind the fields makes a sorted page one walk along the index.
    return IndexModel(keys if "_id" in index.fields else [*keys, ("_id", 1)], name=name)


def unique_filter(index: Index) -> dict[str, Any]:
    """Which records a unique index is about: those that have a value in all its fields."""
    return {one: {"$type": _UNIQUE_KINDS} for one in index.fields}


def does(found: Mapping[str, Any], index: Index) -> bool:
    """Whether an index that is there does what this one would, whatever its name is."""
    return index in _doing(found)


async def structure(database: Any) -> dict[str, ObservedCollection]:
    """The collections that are there, sorted by name."""
    listed = await (await settled(database.list_collections())).to_list(None)
    infos = [info for info in listed if info["name"] != VERSIONS and not info["name"].startswith("system.")]
    places = asyncio.Semaphore(_AT_ONCE)

    async def observed(info: Mapping[str, Any]) -> ObservedCollection:
        async with places:
            return await _observed(database, info)

    found = await asyncio.gather(*map(observed, infos))
    return dict(sorted(zip((info["name"] for info in infos), found, strict=True)))


async def indexes(collection: Any) -> list[dict[str, Any]]:
    """The indexes of a collection of the driver's; none where it is not there."""
    found: list[dict[str, Any]] = await (await settled(collection.list_indexes())).to_list(None)
    return found


async def drop_index(database: Any, collection: str, name: str) -> bool:
    """Drop an index; False when there is none of this name."""
    try:
        await database.command("dropIndexes", collection, index=name)
    except errors.OperationFailure as error:
        if error.code not in (_NO_COLLECTION, _NO_INDEX):
            raise
        return False
    return True


async def drop_collection(database: Any, name: str, *, with_records: bool) -> bool:
    """Drop a collection; False when there is none.

    What is written between the look at its records and the drop is lost: MongoDB has no call for both.

    Raises:
        Conflict: It has records, and is not to be dropped with them.
    """
    if not await database.list_collection_names(filter={"name": name}):
        return False
    # Before it is gone: what is made anew under the name settles it anew.
    await database[VERSIONS].update_one({"_id": name}, {"$unset": {"object_ids": ""}})
    if not with_records and not await _is_empty(database[name]):
        raise not_empty(name)
    await database[name].drop()
    await database[VERSIONS].update_one({"_id": name}, {"$inc": {"version": 1}}, upsert=True)
    return True


async def _is_empty(collection: Any) -> bool:
    return await collection.find_one({}, {"_id": 1}) is None


async def _observed(database: Any, info: Mapping[str, Any]) -> ObservedCollection:
    if info["type"] == "view":
        return ObservedCollection()
    collection = database[info["name"]]
    found = [one for index in await indexes(collection) for one in _observed_indexes(index)]
    # An estimate, which a crash of the server can leave too small.
    records = await collection.estimated_document_count() or int(not await _is_empty(collection))
    return ObservedCollection(tuple(sorted(found, key=lambda one: one.name)), records, _project_of(info))


def _project_of(info: Mapping[str, Any]) -> str | None:
    text = info["options"].get("validator", {}).get("$comment")
    return text.removeprefix(_COLLECTION_MARK) if isinstance(text, str) and text.startswith(_COLLECTION_MARK) else None


def _observed_indexes(found: Mapping[str, Any]) -> Iterator[ObservedIndex]:
    name = found["name"]
    project, colon, label = name.removeprefix(_INDEX_MARK).partition(":")
    if not (name.startswith(_INDEX_MARK) and colon):
        yield from (ObservedIndex(name, index) for index in _doing(found))
        return
    index = Index.of_label(label)
    yield ObservedIndex(name, index, project, altered=not does(found, index) or "expireAfterSeconds" in found)


def _doing(found: Mapping[str, Any]) -> Iterator[Index]:
    """The indexes that one that is there stands in for."""
    fields, limits = tuple(found["key"]), found.keys() & _LIMITS
    if any(direction != 1 for direction in found["key"].values()):
        return
    if found.get("unique"):
        index = Index(fields, unique=True)
        if not limits or (limits == {"partialFilterExpression"} and found["partialFilterExpression"] == unique_filter(index)):
            yield index
    elif not limits and "_id" in fields:
        yield Index(fields)
        if fields[-1] == "_id" and len(fields) > 1:
            yield Index(fields[:-1])
