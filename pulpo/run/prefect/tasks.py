"""The call of an operation as a Prefect task run: Prefect retries, limits and shows it; what it makes goes out of band."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload
from uuid import UUID

from prefect import State, Task
from prefect.client.schemas.objects import StateType, TaskRunResult
from prefect.futures import PrefectFuture, PrefectTaskRunFuture
from prefect.results import (  # type: ignore[attr-defined]  # where Prefect itself takes them from
    ResultRecord,
    ResultRecordMetadata,
    should_persist_result,
)
from prefect.serializers import PickleSerializer
from prefect.states import Completed
from prefect.task_engine import run_task_async
from prefect.utilities.annotations import quote

from pulpo.compile.flow import Settings
from pulpo.errors import RunError
from pulpo.run.call import Caller, OnBegin, Outcome, Values, forget_cancellation
from pulpo.run.failure import describe
from pulpo.run.prefect.elsewhere import CALLS_ELSEWHERE, OperationError, call_elsewhere, inputs, time_is_up
from pulpo.run.prefect.task_runners import CLUSTER
from pulpo.run.prefect.wiring import Member
from pulpo.run.threads import CallTimeoutError, Threads

P = ParamSpec("P")
R = TypeVar("R")


@overload
async def call(function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
@overload
async def call(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
async def call(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Calls an operation's function from its task: an async one on the event loop, a sync one in a thread.

    In a run what comes back is checked and kept for those that take it, and nothing is returned: Prefect would keep it until the
    flow ends. A task that is called by itself returns what the function does.
    """
    instead = _INSTEAD.get()
    if instead is not None:
        return instead(function)
    current = _CALL.get()
    if current is not None:
        await current.attempt(function)
        return None if should_persist_result() else Completed(data=_NOTHING)
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    threads = Threads(1)  # not the loop's own, which waits for calls that took too long
    try:
        return await threads.call(functools.partial(function, *args, **kwargs))
    finally:
        threads.close()


def worth_retrying(task: Task[..., Any], run: object, state: State[Any]) -> bool:  # noqa: ARG001 - what Prefect calls it with
    """Whether a task that failed is tried again: not where what it returned is wrong, for it would be again."""
    current = _CALL.get()
    error = state.data if current is None else current.error
    return not isinstance(error, RunError) and not (isinstance(error, OperationError) and error.is_final)


#: The result of task runs that returned nothing; for a bare None Prefect looks on the disk each time where it would keep it.
_NOTHING: ResultRecord[None] = ResultRecord(
    result=None, metadata=ResultRecordMetadata(serializer=PickleSerializer(), storage_key="nothing")
)


class _FailedError(Exception):
    """Stands for what Prefect would take for the end of the process: a SystemExit, or a cancellation of the user's own."""


@dataclass(slots=True, eq=False)
class _Call:
    """One call, with its retries."""

    caller: Caller
    values: Callable[[], Values]
    first: Values
    receive: Callable[[Any], Any]
    #: Has a place among the threads, but between two tries.
    place: AsyncExitStack
    attempts: int = 0
    made: Any = None
    error: BaseException | None = None
    trace: TracebackType | None = None
    #: The last try took too long.
    timed_out: bool = False

    async def attempt(self, function: Callable[..., Any]) -> None:
        """One try."""
        self.attempts += 1
        lets_go = self.caller.function.settings.timeout is None  # else the wait for a place would count
        if lets_go and self.attempts > 1:
            await self.place.enter_async_context(self.caller.slot())
        if self.attempts > 1 and (self.error is not None or self.timed_out):
            self.caller.on_retry(self.attempts, self.failure())
        self.error, self.timed_out = None, False
        # The time limit is Prefect's here.
        caller = self.caller._replace(function=self.caller.function._replace(function=function, settings=Settings()))
        again = self.attempts > 1
        try:
            self.made = await caller.attempt(lambda: self.values() if again else self.first, self.receive)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and time_is_up():
                self.timed_out = True
                raise
            if caller.is_the_engines(error):
                raise
            forget_cancellation()
            if lets_go:
                await self.place.aclose()
            self.error, self.trace = error, error.__traceback__
            if isinstance(error, Exception):
                raise
            raise _FailedError(describe(error)) from error

    def failure(self) -> BaseException:
        """The error of the last try, with the frames of the user's code alone."""
        if self.error is not None:
            return self.error.with_traceback(self.trace)
        return CallTimeoutError(f"took longer than {self.caller.function.settings.timeout or 0:g} s")


_CALL: contextvars.ContextVar[_Call | None] = contextvars.ContextVar("pulpo_call", default=None)


#: What a task gives whose function is not to be called.
_INSTEAD: contextvars.ContextVar[Callable[[Callable[..., Any]], Any] | None] = contextvars.ContextVar(
    "pulpo_instead", default=None
)


async def show(member: Member, state: Callable[[], State[Any]]) -> None:
    """Makes a task run that ends so, in which nothing is called."""
    task: Any = member.callee
    # Made in the task run, for Prefect drops states older than the last one.
    token = _INSTEAD.set(lambda _: state())
    try:
        await task(**dict.fromkeys(_taken(task)), return_state=True)
    finally:
        _INSTEAD.reset(token)


async def function_of(task: Task[..., Any]) -> Callable[..., Any]:
    """The function that a task calls, which is not called."""
    token = _INSTEAD.set(lambda function: function)
    try:
        function: Callable[..., Any] = await task.fn(**dict.fromkeys(_taken(task)))
        return function
    finally:
        _INSTEAD.reset(token)


@dataclass(frozen=True, slots=True)
class TaskCaller:
    """Makes the calls of a step as runs of its task; it stands where the inline engine has a `Caller`."""

    caller: Caller
    member: Member
    #: The ids of the task runs that it waited for, by operation, to be shown.
    edges: Callable[[], Mapping[str, UUID]]
    #: Told the state of each completed task run.
    note: Callable[[State[Any]], None]

    @property
    def on_begin(self) -> OnBegin:
        """The caller's."""
        return self.caller.on_begin

    @property
    def stop(self) -> threading.Event:
        """The caller's."""
        return self.caller.stop

    @property
    def at_once(self) -> int | None:
        """A cluster is given many calls at the same time."""
        return None if CLUSTER.get() is None else CALLS_ELSEWHERE

    async def call(self, values: Callable[[], Values], receive: Callable[[Any], Any]) -> Outcome:
        """Runs the task; the records among its arguments are quoted, so that Prefect does not look into them."""
        cluster = CLUSTER.get()
        if cluster is not None:
            await self.caller.on_begin()
            outcome, state = await call_elsewhere(cluster, self.member, self.caller, self._given(values()), self.edges())
            if state is not None:
                self.note(state)
            return outcome if outcome.error is not None else await self._received(outcome, receive)
        async with AsyncExitStack() as place:
            await place.enter_async_context(self.caller.slot())
            await self.caller.on_begin()
            current = _Call(self.caller, values, values(), receive, place)
            token = _CALL.set(current)
            try:
                state = await self._run_task(current.first)
            finally:
                _CALL.reset(token)
        attempts = max(1, current.attempts)
        if state.is_completed():
            self.note(state)
            return Outcome(current.made, attempts=attempts)
        if current.error is None and not current.timed_out:  # Prefect itself would not run it
            return Outcome(error=RunError(state.message or f"Prefect says: {state.name}"), attempts=attempts)
        return Outcome(error=current.failure(), attempts=attempts)

    async def _received(self, outcome: Outcome, receive: Callable[[Any], Any]) -> Outcome:
        """What came from elsewhere, checked here."""
        try:
            outcome.value = await self.caller.checking.call(lambda: receive(outcome.value))
        except RunError as error:
            return Outcome(error=error, attempts=outcome.attempts)
        return outcome

    def _given(self, values: Values) -> dict[str, Any]:
        given = {**self.member.plain, **values}
        return {name: given[name] for name in _taken(self.member.callee) if name in given}

    async def _run_task(self, values: Values) -> State[Any]:
        """What calling the task does, but that Prefect is told where its arguments come from, and need not find out."""
        edges = self.edges()
        parameters = {name: quote(value) for name, value in self._given(values).items()}
        shown = inputs(self.member, edges, parameters)
        told = {one.id for some in shown.values() for one in some if isinstance(one, TaskRunResult)}
        state: State[Any] = await run_task_async(  # type: ignore[assignment]  # as asked for
            self.member.callee,  # type: ignore[arg-type]  # a step's is a task
            parameters=parameters,
            dependencies=shown,
            wait_for=[_Done(run) for run in edges.values() if run not in told],
            return_type="state",
        )
        return state


def _taken(task: Any) -> tuple[str, ...]:
    """The names of a task's parameters; much faster than its signature."""
    code = task.fn.__code__
    names: tuple[str, ...] = code.co_varnames
    return names[: code.co_argcount + code.co_kwonlyargcount]


class _Over(State[None]):
    """The state of a task run that is over, which has no result."""

    def result(self, *_: object, **__: object) -> None:
        """Nothing; without a thread, in which Prefect looks for a result."""


_OVER = _Over(type=StateType.COMPLETED)


class _Done(PrefectTaskRunFuture[None]):
    """A task run to be shown as one that another came after; a state in its place Prefect would search for more of them."""

    @property
    def state(self) -> State[None]:
        """Completed."""
        return _OVER

    def wait(self, timeout: float | None = None) -> None:
        """Nobody has to."""

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> None:
        """Nothing."""

    def add_done_callback(self, fn: Callable[[PrefectFuture[None]], None]) -> None:
        """Calls it."""
        fn(self)
