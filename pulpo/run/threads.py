"""Daemon threads for sync calls: few, made when needed, and never in the way of a process that wants to exit."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import enum
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class CallTimeoutError(TimeoutError):
    """A call took longer than its operation's `timeout`."""


def default_size() -> int:
    """How many threads a pool has by default: the rule of `concurrent.futures`."""
    return min(32, (os.cpu_count() or 1) + 4)


class _Stage(enum.Enum):
    QUEUED = enum.auto()
    RUNNING = enum.auto()
    LEFT = enum.auto()


@dataclass(slots=True, eq=False)
class _Job:
    function: Callable[[], Any]
    future: asyncio.Future[Any]
    context: contextvars.Context
    timeout: float | None
    stage: _Stage = _Stage.QUEUED


class Threads:
    """A pool for one event loop. A call that is cancelled or times out is abandoned: its thread no longer counts."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._open = 0

    async def call[T](self, function: Callable[[], T], timeout: float | None = None) -> T: ...
