"""Databases for properties: one in memory that refuses what real ones refuse, and one around a store that breaks off or fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pulpo.store.base import (
    Collection,
    Conflict,
    Ensured,
    Index,
    ObservedCollection,
    ObservedIndex,
    Record,
    StoreError,
    Written,
    not_empty,
)

PROJECT = "shop"


class Killed(BaseException):
    """The process ended here."""


@dataclass
class InMemory:
    """A database that several projects share; what is not the project's to drop is never dropped."""

    found: dict[str, ObservedCollection] = field(default_factory=dict)
    records: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)

    async def structure(self) -> dict[str, ObservedCollection]:
        return {name: replace(one, records=len(self.records.get(name, {}))) for name, one in sorted(self.found.items())}

    async def ensure(self, collection: Collection) -> Ensured:
        name = collection.name
        is_new = name not in self.found
        if is_new:
            self.found[name] = ObservedCollection((), 0, PROJECT)
        for index in collection.indexes:
            there = self.found[name].indexes
            if any(other.index == index and not other.altered for other in there):
                continue
            label = f"pulpo.{PROJECT}:{index.label}"
            if any(other.name == label for other in there):
                raise StoreError(f"another index is in the way: {label}")
            values = [tuple(one.get(key) for key in index.fields) for one in self.records.get(name, {}).values()]
            held = [value for value in values if None not in value]
            if index.unique and len(held) != len(set(held)):
                raise Conflict(f"two records of {name} would agree in what has to be unique: {', '.join(index.fields)}")
            self.found[name] = replace(self.found[name], indexes=(*there, ObservedIndex(label, index, PROJECT)))
        return Ensured(is_new)

    async def drop_index(self, collection: str, name: str) -> bool:
        there = self.found.get(collection, ObservedCollection()).indexes
        meant = [one for one in there if one.name == name]
        assert all(one.is_of(PROJECT) for one in meant), f"not ours: {meant}"
        if meant:
            self.found[collection] = replace(self.found[collection], indexes=tuple(one for one in there if one.name != name))
        return bool(meant)

    async def drop_collection(self, name: str, *, with_records: bool = False) -> bool:
        if name not in self.found:
            return False
        assert self.found[name].is_of(PROJECT), f"not ours: {name}"
        if self.records.get(name) and not with_records:
            raise not_empty(name)
        del self.found[name]
        self.records.pop(name, None)
        return True

    async def upsert_many(self, collection: Collection, records: list[Record]) -> Written:
        await self.ensure(collection)
        self.records.setdefault(collection.name, {}).update({one.id: one.data for one in records})
        return Written(len(records))


@dataclass
class Breaking:
    """A store whose process is killed at the `killed_at`th call that changes something, before it or after it was done."""

    store: Any
    killed_at: int | None = None
    is_after: bool = False
    fails: Callable[[str, tuple[Index, ...]], bool] = lambda *_: False
    calls: int = 0

    async def structure(self) -> Mapping[str, ObservedCollection]:
        return await self.store.structure()

    async def ensure(self, collection: Collection) -> Ensured:
        if self.fails(collection.name, collection.indexes):
            raise StoreError("it does not want to")
        return await self._call(lambda: self.store.ensure(collection))

    async def drop_index(self, collection: str, name: str) -> bool:
        return await self._call(lambda: self.store.drop_index(collection, name))

    async def drop_collection(self, name: str, *, with_records: bool = False) -> bool:
        return await self._call(lambda: self.store.drop_collection(name, with_records=with_records))

    async def _call(self, call: Callable[[], Any]) -> Any:
        self.calls += 1
        if self.calls == self.killed_at and not self.is_after:
            raise Killed
        result = await call()
        if self.calls == self.killed_at:
            raise Killed
        return result
