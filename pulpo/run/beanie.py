"""Beanie Documents as models, without a MongoDB behind them.

A Document can't even be constructed before `init_beanie`, which asks a server questions. So it is given a stand-in database
that answers them, and whose collections refuse everything: records are stored by Pulpo, not by the Document's own methods.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any, NoReturn


def is_document(cls: type) -> bool:
    """Whether the class is a Beanie Document; Beanie is not imported to find out."""
    return any(base.__name__ == "Document" and base.__module__.split(".")[0] == "beanie" for base in cls.__mro__)


async def initialise(documents: Sequence[type]) -> None:
    """Makes the Documents among the classes constructible, those that a real `init_beanie` has not initialised already."""
    fresh = [cls for cls in documents if is_document(cls) and not _is_initialised(cls)]
    if fresh:
        from beanie import init_beanie

        stand_in: Any = _Database()
        await init_beanie(database=stand_in, document_models=fresh, skip_indexes=True)


def _is_initialised(cls: Any) -> bool:
    return getattr(cls, "_document_settings", None) is not None


class DirectAccessError(RuntimeError):
    """A Document's own method was called that talks to MongoDB."""


class _Collection:
    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, attribute: str) -> NoReturn:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise DirectAccessError(
            f"a method of a Document of {self.name!r} used {attribute!r}, which talks to MongoDB itself; "
            "Pulpo stores what the operation returns"
        )


class _Database:
    name = "stand-in"
    client = types.SimpleNamespace(append_metadata=None)

    async def command(self, *_: object, **__: object) -> dict[str, str]:
        return {"version": "7.0.0"}

    async def list_collection_names(self, *_: object, **__: object) -> list[str]:
        return []

    def __getitem__(self, name: str) -> _Collection:
        return _Collection(name)
