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
from typing import Any, TypeVar

from pulpo.errors import PulpoError

T = TypeVar("T")


class CallTimeoutError(PulpoError, TimeoutError):
    """A call took longer than its operation's `timeout`."""


def default_size() -> int:
    """How many threads a pool has by default: the rule of `concurrent.futures`."""
    return min(32, (os.cpu_count() or 1) + 4)


class _Stage(enum.Enum):
    QUEUED = enum.auto()
    RUNNING = enum.auto()
    LEFT = enum.auto()


@dataclass(frozen=True, slots=True)
class _Raised:
    """What the function raised: given back as a result, so that its CancelledError is not taken for one of the caller."""

    error: BaseException


@dataclass(slots=True, eq=False)
class _Job:
    function: Callable[[], Any]
    future: asyncio.Future[Any]
    context: contextvars.Context
    limit: float | None
    stage: _Stage = _Stage.QUEUED


class Threads:
    """A pool for one event loop.

    A call that is cancelled or times out is abandoned: nothing can stop its thread, so it runs on, but it no longer
    counts and what it returns is dropped.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._home = threading.get_ident()
        #: To be held while a call is made by whoever wants to know when it begins: no call then waits for a thread.
        self.slots = asyncio.Semaphore(size)
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._open = 0

    async def call(self, function: Callable[[], T], limit: float | None = None) -> T:
        """What the function returns or raises, called in a thread with a copy of the caller's context variables.

        Raises:
            CallTimeoutError: It ran for more than `limit` seconds; waiting for a free thread does not count.
        """
        future: asyncio.Future[T | _Raised] = self._loop.create_future()
        job = _Job(function, future, contextvars.copy_context(), limit)
        with self._lock:
            self._open += 1
            self._spawn()
        self._queue.put(job)
        try:
            result = await future
        except (asyncio.CancelledError, CallTimeoutError):
            self._leave(job)
            raise
        if isinstance(result, _Raised):
            raise result.error
        return result

    def on_loop(self, function: Callable[[], None]) -> None:
        """Calls the function on the event loop's thread: at once if that is this one, else soon."""
        if threading.get_ident() == self._home:
            function()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """Lets the threads end as soon as they are idle; does not wait for them."""
        with self._lock:
            for _ in range(self._threads):
                self._queue.put(None)

    def _spawn(self) -> None:
        if self._threads < min(self._size, self._open):
            self._threads += 1
            threading.Thread(target=self._work, name="pulpo-call", daemon=True).start()

    def _leave(self, job: _Job) -> None:
        with self._lock:
            if job.stage is _Stage.LEFT:
                return
            if job.stage is _Stage.RUNNING:
                self._threads -= 1
            job.stage = _Stage.LEFT
            self._open -= 1
            self._spawn()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            with self._lock:
                if job.stage is _Stage.LEFT:
                    continue
                job.stage = _Stage.RUNNING
            self._run(job)
            with self._lock:
                if job.stage is _Stage.LEFT:
                    return
                job.stage = _Stage.LEFT
                self._open -= 1

    def _run(self, job: _Job) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            if job.limit is not None:
                self._loop.call_soon_threadsafe(self._start_clock, job)
            try:
                result = job.context.run(job.function)
            except StopIteration as error:  # no coroutine can raise one
                result = _Raised(RuntimeError(f"StopIteration: {error}"))
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits the call
                result = _Raised(error)
            self._loop.call_soon_threadsafe(_succeed, job.future, result)

    def _start_clock(self, job: _Job) -> None:
        error = CallTimeoutError(f"took longer than {job.limit:g} s")
        timer = self._loop.call_later(job.limit or 0, _fail, job.future, error)
        job.future.add_done_callback(lambda _: timer.cancel())


def _succeed(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
