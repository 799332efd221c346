"""What is in a project's database, as a snapshot that a plan can be made from without asking again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pulpo.store.base import ObservedCollection, Store


@dataclass(frozen=True, slots=True)
class ObservedDatabase:
    """The collections of a database by name, whoever made them; without any it is one that is empty, or not there yet."""

    collections: Mapping[str, ObservedCollection] = field(default_factory=dict)

    @property
    def facts(self) -> Mapping[str, tuple[object, ...]]:
        """By address, sorted, all that a plan looks at: plans of the same facts are the same but for numbers of records."""
        found: dict[str, tuple[object, ...]] = {}
        for name, one in self.collections.items():
            found[address_of(name)] = (one.project, bool(one.records))
            for index in one.indexes:
                where = index_address(name, index.index.fields)
                found[where] = (*found.get(where, ()), index.name, index.index.unique, index.project, index.altered)
        return dict(sorted(found.items()))


async def observe(store: Store) -> ObservedDatabase:
    """What is in an open store; nothing is changed.

    Raises:
        StoreError: It can't be read.
    """
    return ObservedDatabase(await store.structure())


def address_of(collection: str) -> str:
    """How changes name a collection."""
    return f"collection:{collection}"


def index_address(collection: str, fields: Sequence[str]) -> str:
    """How changes name an index over fields."""
    return f"index:{collection}/{'+'.join(fields)}"
