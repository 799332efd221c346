"""Calling the user's function: retries, time limits, and what counts as a failure of the operation."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from pulpo.compile.flow import Settings
from pulpo.errors import RunError
from pulpo.run.threads import CallTimeoutError, Threads

Values = Mapping[str, object]
#: Told before each retry: the try that begins, and why.
OnRetry = Callable[[int, BaseException], None]
OnBegin = Callable[[], Awaitable[None]]


class Function(NamedTuple):
    """An operation's function and how it is to be called."""

    operation: str
    function: Callable[..., Any]
    is_async: bool
    settings: Settings

    def __call__(self, values: Values) -> Any:
        """What the bare function gives: of an async one, a coroutine."""
        return self.function(**values)


@dataclass(slots=True)
class Outcome:
    """How a call ended: with a value, or with an error after the last try."""

    value: Any = None
    error: BaseException | None = None
    attempts: int = 1


class Caller(NamedTuple):
    """Calls one function, as often as its settings allow. `receive` checks what came back; its complaints are not retried.

    A sync call that takes longer than `timeout`, or is cancelled, is abandoned: its thread runs on, nobody listens.
    Whatever the user's code raises is its failure, a CancelledError too, unless the engine itself cancels.
    """

    function: Function
    threads: Threads
    #: For checking what async calls gave, so that it never waits for the user's sync functions.
    checking: Threads
    on_retry: OnRetry
    #: Awaited when a try can begin.
    on_begin: OnBegin
    #: Set when the results are not needed any more; only calls of a mapped step share one.
    stop: threading.Event
    #: Set when the engine cancels everything.
    ending: threading.Event

    @property
    def at_once(self) -> int | None:
        """As many calls as there are threads, or as async calls usually are made."""
        return None

    @property
    def on_loop(self) -> bool:
        """Whether calls are made from the event loop; else `call_here` makes them in a thread."""
        return self.function.is_async or self.function.settings.timeout is not None

    async def call(self, values: Callable[[], Values], receive: Callable[[Any], Any]) -> Outcome:
        """Calls from the event loop; `values` is asked before each try. Raises nothing but `CancelledError`."""
        delays = self.function.settings.delays()
        for attempt in itertools.count(1):
            try:
                async with self.slot():
                    await self.on_begin()
                    return Outcome(await self.attempt(values, receive), attempts=attempt)
            except BaseException as error:
                if self.is_the_engines(error):
                    raise
                forget_cancellation()
                failure = error
            delay = None if isinstance(failure, RunError) else next(delays, None)
            if delay is None:
                return Outcome(error=failure, attempts=attempt)
            self.on_retry(attempt + 1, failure)
            await asyncio.sleep(delay)
        raise AssertionError

    def call_here(self, values: Callable[[], Values], receive: Callable[[Any], Any]) -> Outcome:
        """The same for a sync function without a time limit, in the caller's own thread; raises nothing."""
        delays = self.function.settings.delays()
        for attempt in itertools.count(1):
            try:
                return Outcome(receive(self.function(values())), attempts=attempt)
            except BaseException as error:  # noqa: BLE001 - whatever the user's code raises is its failure
                failure = error
            delay = None if isinstance(failure, RunError) else next(delays, None)
            if delay is None:
                return Outcome(error=failure, attempts=attempt)
            self.on_retry(attempt + 1, failure)
            if self.stop.wait(delay):
                return Outcome(error=failure, attempts=attempt)
        raise AssertionError

    def slot(self) -> contextlib.AbstractAsyncContextManager[object]:
        """To be held during a try from the event loop."""
        return contextlib.nullcontext() if self.function.is_async else self.threads.slots

    async def attempt(self, values: Callable[[], Values], receive: Callable[[Any], Any]) -> Any:
        """One try, from the event loop: what `receive` makes of what came back; raises what the function does."""
        received = await self._attempt(values, receive)
        if _is_cancelled() and not self._is_ending():
            await asyncio.sleep(0)  # the function cancelled its own task, and that is not delivered yet
            forget_cancellation()
        return received

    async def _attempt(self, values: Callable[[], Values], receive: Callable[[Any], Any]) -> Any:
        function, timeout = self.function, self.function.settings.timeout
        if not function.is_async:
            return await self.threads.call(lambda: receive(function(values())), timeout)
        value = function(values())
        if not inspect.isawaitable(value):
            raise RunError(f"{function.operation} is not async, but the lock says it is", hint="run `pulpo lock`")
        value = await (value if timeout is None else self._within(timeout, value))
        if isinstance(value, list | tuple) and len(value) > LARGE:
            return await self.checking.call(lambda: receive(value))
        return receive(value)

    def _is_ending(self) -> bool:
        return self.stop.is_set() or self.ending.is_set()

    def is_the_engines(self, error: BaseException) -> bool:
        """Whether it ends the run, or this part of it, and is no failure of the function."""
        if isinstance(error, asyncio.CancelledError):
            return self._is_ending()
        if isinstance(error, KeyboardInterrupt):
            return self.function.is_async  # a Ctrl-C; in a thread it can only be the function's own
        return isinstance(error, GeneratorExit) and not _is_loop_running()

    @staticmethod
    async def _within(limit: float, value: Awaitable[Any]) -> Any:
        scope = asyncio.timeout(limit)
        try:
            async with scope:
                return await value
        except TimeoutError as error:
            if scope.expired():
                raise CallTimeoutError(f"took longer than {limit:g} s") from error
            raise


class Calling(Protocol):
    """Who makes the calls of a step: a `Caller`, or what an engine puts in its place."""

    @property
    def on_begin(self) -> OnBegin:
        """Awaited when a try can begin."""
        ...

    @property
    def stop(self) -> threading.Event:
        """Set when the results are not needed any more."""
        ...

    @property
    def at_once(self) -> int | None:
        """How many calls of a mapped step are made at the same time where `concurrency` is unset; None for the usual number."""
        ...

    async def call(self, values: Callable[[], Values], receive: Callable[[Any], Any]) -> Outcome:
        """Calls from the event loop."""
        ...


#: Of more records than this the checking is done in a thread, so that the event loop goes on.
LARGE = 500


def forget_cancellation() -> None:
    """The current task goes on as if nobody had asked it to stop."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _is_loop_running() -> bool:
    """False where a coroutine is thrown away after its loop ended."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
