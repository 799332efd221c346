"""Waiting for a MongoDB that is gone for a moment: restarted, or another member of its replica set takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from pulpo.store.mongo_driver import errors

T = TypeVar("T")

#: How often a call is made again, and the pause before it; the driver looks for a server for some seconds each time.
_TIMES: Final = 4
_PAUSE_S: Final = 0.5
#: What a server says that is going down, or is not yet up.
_GOING: Final = frozenset({91, 189, 11600, 11602, 13435, 13436})


async def persistently(call: Callable[[], Awaitable[T]]) -> T:
    """What `call` gives, which is called again, some times, while there is no server; it has to be one that can be repeated.

    Raises what the last call raised.
    """
    for _ in range(_TIMES):
        try:
            return await call()
        except errors.PyMongoError as error:
            if not _is_lost(error):
                raise
        await asyncio.sleep(_PAUSE_S)
    return await call()


def _is_lost(error: errors.PyMongoError) -> bool:
    if isinstance(error, errors.BulkWriteError):
        failed = [*error.details.get("writeErrors", ()), *error.details.get("writeConcernErrors", ())]
        return any(one.get("code") in _GOING for one in failed)
    return isinstance(error, errors.AutoReconnect) or getattr(error, "code", None) in _GOING
