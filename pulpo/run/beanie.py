"""Beanie Documents as models, whatever the store.

A Document can't even be constructed before `init_beanie`, which asks a server questions and holds the class to one client for
good, though a client is one event loop's alone. So it is given a stand-in database that answers them. Its collections are, for
each run, those of the run's store where that is on MongoDB; where it is not, a Document's own methods are refused: records are
stored by Pulpo.
"""

from __future__ import annotations

import contextvars
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulpo.store.base import Store

#: The database that Documents' own methods reach in this run; None where the store has none for them.
_DATABASE: contextvars.ContextVar[Any] = contextvars.ContextVar("pulpo_beanie_database", default=None)


def is_document(cls: type) -> bool:
    """Whether the class is a Beanie Document; Beanie is not imported to find out."""
    return any(base.__name__ == "Document" and base.__module__.split(".")[0] == "beanie" for base in cls.__mro__)


def use(store: Store) -> None:
    """From here on, in this task and what it starts, Documents' own methods reach the store's MongoDB, if it is on one."""
    _DATABASE.set(getattr(store, "beanie_database", None))


async def initialise(collections: Mapping[type, str]) -> None:
    """Makes the Documents among the classes constructible, those that a real `init_beanie` has not initialised already.

    Their own methods use the collections given, whatever Beanie would call them.
    """
    fresh: list[Any] = [cls for cls in collections if is_document(cls) and _own_settings(cls) is None]
    if fresh:
        from beanie import init_beanie

        stand_in: Any = _Database()
        # Beanie initialises what a class derives from along with it, also anew; that is to stay as it was.
        derived_from: set[Any] = {base for cls in fresh for base in cls.__mro__ if is_document(base)}.difference(fresh)
        before = {base: _own_settings(base) for base in derived_from}
        await init_beanie(database=stand_in, document_models=fresh, skip_indexes=True)
        for base, settings in before.items():
            base._document_settings = settings  # noqa: SLF001 - Beanie has no other way
        for cls in fresh:
            cls.set_collection_name(collections[cls])
            cls.set_collection(_Collection(collections[cls]))


def _own_settings(cls: type) -> Any:
    """What Beanie made of a class itself, not of one that it derives from; None where it is not initialised."""
    return vars(cls).get("_document_settings")


class DirectAccessError(RuntimeError):
    """A Document's own method was called that talks to MongoDB, where there is none for it."""


class _Collection:
    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        database = _DATABASE.get()
        if database is not None:
            return getattr(database()[self.name], attribute)
        raise DirectAccessError(
            f"a method of a Document of {self.name!r} used {attribute!r}, which talks to MongoDB itself; "
            "Pulpo stores what the operation returns"
        )


class _Database:
    name = "stand-in"
    client = types.SimpleNamespace(append_metadata=None)

    def __init__(self) -> None:
        self._collections: dict[str, _Collection] = {}

    async def command(self, *_: object, **__: object) -> dict[str, str]:
        return {"version": "7.0.0"}

    async def list_collection_names(self, *_: object, **__: object) -> list[str]:
        return []

    def __getitem__(self, name: str) -> _Collection:
        return self._collections.setdefault(name, _Collection(name))
