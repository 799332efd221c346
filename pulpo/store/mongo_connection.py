"""A connection to a MongoDB: opening it, the collections and indexes that are there, and the versions that watchers look at.

`pulpo_collections` has a document for each collection: its version, and whether its ids are ObjectIds. That is settled when the
collection is first written to, so that whoever reads it need not know.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any, Final

from pulpo.errors import UsageError
from pulpo.store.base import VERSIONS, Collection, Ensured, Index, StoreError
from pulpo.store.mongo_address import Address, malformed, unreachable
from pulpo.store.mongo_driver import IndexModel, connect, database_of, errors, settled
from pulpo.store.mongo_patience import Patience, is_lost
from pulpo.store.mongo_records import conflict
from pulpo.store.mongo_structure import does, index_model, indexes, validator

_DUPLICATE: Final = 11000
_EXISTS: Final = 48
_INDEX_IN_THE_WAY: Final = (85, 86)
#: Seconds between two times that changes are told, each of which is a write of its own: watchers look less often.
_TELLING_S: Final = 0.05


class Connection:
    """A client of one event loop, and what is known of the database behind it."""

    def __init__(self, address: Address, driver: str, timeout_s: float, project: str) -> None:
        self._address = address
        #: Whose mark is on what is made.
        self._project = project
        self._driver = driver
        self._timeout_s = timeout_s
        #: Of calls that may be made again: a server that is restarted needs longer than one is waited for that is not there.
        self.patience = Patience(timeout_s * 6)
        self._client: Any = None
        self._database: Any = None
        self._driven: dict[str, Any] = {}
        self._beanie_client: Any = None
        self._process = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ensured: set[Collection] = set()
        self._object_ids: dict[str, bool] = {}
        self._changed: set[str] = set()
        self._telling: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def open(self) -> None:
        """Connect and see that the database can be read.

        Raises:
            UsageError: It can't, for which the message has the reason.
        """
        if self._client is not None:
            return
        client = self._connect(self._driver)
        try:
            async with asyncio.timeout(self._timeout_s):
                # A ping would be answered without a password.
                await database_of(client, self._address.database)[VERSIONS].find_one({"_id": ""})
        except (errors.PyMongoError, OSError, ValueError) as error:
            await settled(client.close())
            raise unreachable(error, self._address, self._timeout_s) from error
        except BaseException:
            await settled(client.close())
            raise
        self._closing = asyncio.Event()
        self._client, self._process, self._loop = client, os.getpid(), asyncio.get_running_loop()

    async def close(self) -> None:
        """Tell what is still to be told, and disconnect."""
        client, beanie_client, self._client, self._beanie_client = self._client, self._beanie_client, None, None
        telling, self._telling = self._telling, None
        self._database = None
        self._driven.clear()
        self._ensured.clear()
        self._object_ids.clear()
        if client is None or os.getpid() != self._process:
            return
        try:
            if telling is not None and self._loop is asyncio.get_running_loop():
                self._closing.set()
                await telling
        finally:
            for one in (client, beanie_client):
                if one is not None:
                    await settled(one.close())

    @property
    def database(self) -> Any:
        """The driver's own database.

        Raises:
            StoreError: The store is not open, or not here.
        """
        if self._client is None:
            where = f"{self._address.shown}/{self._address.database}"
            raise StoreError(f"the store is not open: {where}", hint="use it inside `async with store:`")
        if os.getpid() != self._process:
            raise StoreError("the store was opened by the parent of this process", hint="open it after the fork, in each process")
        if asyncio.get_running_loop() is not self._loop:
            raise StoreError("the store was opened in another event loop", hint="open one in each event loop")
        if self._database is None:
            self._database = database_of(self._client, self._address.database)
        return self._database

    def driven(self, collection: Collection) -> Any:
        """The driver's own collection, which costs more to make than to keep."""
        database = self.database
        found = self._driven.get(collection.name)
        if found is None:
            found = self._driven[collection.name] = database[collection.name]
        return found

    def beanie_database(self) -> Any:
        """A database for `init_beanie`, which takes only pymongo's own client, and values as BSON has them."""
        database = self.database
        if self._driver == "pymongo":
            return self._client[database.name]
        if self._beanie_client is None:
            self._beanie_client = self._connect("pymongo")
        return self._beanie_client[database.name]

    async def has_object_ids(self, collection: Collection) -> bool:
        """Whether the ids of a collection are ObjectIds: as it was settled, else as its records have them, else as it says."""
        known = self._object_ids.get(collection.name)
        if known is not None:
            return known
        entry = await self.database[VERSIONS].find_one({"_id": collection.name})
        if entry is not None and "object_ids" in entry:
            return self._object_ids.setdefault(collection.name, bool(entry["object_ids"]))
        if await self.database[collection.name].find_one({"_id": {"$type": "objectId"}}, {"_id": 1}) is not None:
            return True
        if await self.database[collection.name].find_one({}, {"_id": 1}) is not None:
            return False
        return collection.object_ids

    def is_ensured(self, collection: Collection) -> bool:
        """Whether the collection was ensured over this connection."""
        return collection in self._ensured

    def forget(self, collection: str) -> None:
        """Take nothing for known of a collection that is dropped, or one of whose indexes is."""
        self._ensured = {one for one in self._ensured if one.name != collection}
        self._object_ids.pop(collection, None)

    async def ensure(self, collection: Collection) -> Ensured:
        """Settle what the collection's ids are, and create it and its indexes where they are missing."""
        there = {index["name"] for index in await indexes(self.database[collection.name])}
        if not there:
            await self._create(collection)
        initial = {"version": 0, "object_ids": await self.has_object_ids(collection)}
        settling = {"$set": {name: {"$ifNull": [f"${name}", value]} for name, value in initial.items()}}
        entry = await self.database[VERSIONS].find_one_and_update(
            {"_id": collection.name}, [settling], upsert=True, return_document=True
        )
        self._object_ids[collection.name] = bool(entry["object_ids"])
        made = [index for index in collection.indexes if await self._ensure_index(collection, index)]
        self._ensured.add(collection)
        return Ensured(
            not there, tuple(index for index in dict.fromkeys(made) if self._model(index).document["name"] not in there)
        )

    async def versions(self) -> dict[str, int]:
        """The version of every collection, sorted by name."""
        entries = await self.database[VERSIONS].find({}, sort=[("_id", 1)]).to_list(None)
        return {entry["_id"]: entry.get("version", 0) for entry in entries}

    def tell(self, collection: Collection) -> None:
        """Move the collection's version on, soon: many changes at once are told as one, and no write waits for it."""
        self._changed.add(collection.name)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell(self.database[VERSIONS]))

    async def _tell(self, versions: Any) -> None:
        while self._changed:
            names, self._changed = sorted(self._changed), set()
            # Who wrote has an answer already; who watches hears of it when the server is back.
            try:
                for name in names:
                    await versions.update_one({"_id": name}, {"$inc": {"version": 1}}, upsert=True)
            except errors.PyMongoError as error:
                if is_lost(error):
                    self._changed.update(names)
                if self._closing.is_set():
                    return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _TELLING_S)

    def _connect(self, driver: str) -> Any:
        try:
            # Below the time that is left for the whole, so that the driver has the time to say why.
            return connect(self._address.uri, driver, timeout_s=self._timeout_s * 0.8)
        except ImportError as error:
            raise UsageError(
                f"MongoDB needs a package that is not installed: {error.name or driver}", hint='pip install "pulpocore[mongo]"'
            ) from error
        except (errors.PyMongoError, OSError, ValueError) as error:
            raise malformed(error) from None

    async def _create(self, collection: Collection) -> None:
        try:
            await self.database.command("create", collection.name, validator=validator(self._project))
        except errors.OperationFailure as error:
            if error.code != _EXISTS:  # another process was faster
                raise

    async def _ensure_index(self, collection: Collection, index: Index) -> bool:
        """Whether the index is there under our name now; else another one does the same."""
        model = self._model(index)
        try:
            await self.database[collection.name].create_indexes([model])
        except errors.OperationFailure as error:
            if error.code == _DUPLICATE:
                raise conflict(collection, index.fields) from error
            if error.code not in _INDEX_IN_THE_WAY:
                raise
            other = await self._index_in_the_way(collection, index)
            if other is not None:
                raise StoreError(
                    f"another index of {collection.name} is in the way of the one over {', '.join(index.fields)}: {other}",
                    hint=f"drop it, and open the store again: db.getCollection({collection.name!r}).dropIndex({other!r})",
                ) from error
            return False
        return True

    async def _index_in_the_way(self, collection: Collection, index: Index) -> str | None:
        """The name of the index that prevents ours; None where one under another name does the same."""
        wanted = self._model(index).document
        there = await indexes(self.database[collection.name])
        if any(other["name"] != wanted["name"] and does(other, index) for other in there):
            return None
        keys = list(wanted["key"].items())
        same = [other["name"] for other in there if list(other["key"].items()) == keys]
        return str((same or [wanted["name"]])[0])

    def _model(self, index: Index) -> IndexModel:
        return index_model(index, self._project)
