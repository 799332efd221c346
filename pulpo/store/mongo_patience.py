"""Waiting for a MongoDB that is gone for a moment: restarted, or another member of its replica set takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, TypeVar

from pulpo.store.mongo_driver import errors

T = TypeVar("T")

#: The pause before a call is made again; the driver looks for a server for some seconds each time.
_PAUSE_S: Final = 0.5
#: What a server says that is going down, or is not yet up.
_GOING: Final = frozenset({91, 189, 11600, 11602, 13435, 13436})


class Patience:
    """How long the calls over a connection wait for a server: `limit_s` for an outage, however many they are.

    When that is over, the next one waits a little once more, so that a server that came back meanwhile hears of what failed.
    Later ones fail at once for some seconds, so that what they are part of ends.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        #: How long after a failure a call belongs to the same outage, and how long the last wait is.
        self._rest_s = _PAUSE_S + limit_s / 4
        self._last = self._until = float("-inf")
        self._is_last_wait = False

    async def persistently(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` gives, which is called again while there is no server; it has to be one that can be repeated.

        Raises what the last call raised.
        """
        self._begin()
        while True:
            try:
                result = await call()
            except errors.PyMongoError as error:
                if not is_lost(error):
                    raise
                self._last = monotonic()
                if self._last + _PAUSE_S > self._until:
                    self._until = self._last
                    raise
            else:
                self._last = float("-inf")
                return result
            await asyncio.sleep(_PAUSE_S)

    def _begin(self) -> None:
        now = monotonic()
        if now - self._last > self._rest_s:
            self._until, self._is_last_wait = now + self._limit_s, False
        elif now >= self._until:
            if self._is_last_wait:
                raise errors.AutoReconnect("no server was there for too long")
            self._until, self._is_last_wait = now + self._rest_s, True


def is_lost(error: errors.PyMongoError) -> bool:
    """Whether there is no server just now, so that the same may go well later."""
    if isinstance(error, errors.BulkWriteError):
        failed = [*error.details.get("writeErrors", ()), *error.details.get("writeConcernErrors", ())]
        return any(one.get("code") in _GOING for one in failed)
    return isinstance(error, errors.AutoReconnect) or getattr(error, "code", None) in _GOING
