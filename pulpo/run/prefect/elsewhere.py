"""The call of an operation on a cluster: its task goes there whole, what it makes comes back to the flow's process."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import anyio
from prefect import State
from prefect.client.schemas.objects import RunInput, TaskRunResult
from prefect.context import TaskRunContext
from prefect.futures import PrefectFuture
from prefect.utilities.callables import get_call_parameters

from pulpo.errors import RunError
from pulpo.run.call import Caller, Outcome
from pulpo.run.failure import FarError, describe, explain
from pulpo.run.prefect.task_runners import Cluster
from pulpo.run.prefect.wiring import Member
from pulpo.run.threads import CallTimeoutError

#: Calls of a mapped step that a cluster is given at the same time where `concurrency` is unset.
CALLS_ELSEWHERE = 1000


class OperationError(Exception):
    """An operation failed on a worker: in words, since its exception may not be one that another process can read."""

    def __init__(self, said: str, more: str, attempts: int, is_final: bool) -> None:
        """In the words of `FarError`; nothing is tried again where it `is_final`."""
        super().__init__(said, more, attempts, is_final)
        self.said = said
        self.more = more
        self.attempts = attempts
        self.is_final = is_final

    def __str__(self) -> str:
        return self.said


@dataclass(frozen=True, slots=True)
class _Returned:
    """What an operation returned, and with which try."""

    value: Any
    attempts: int


class _Carried:
    """A value on its way to a worker: neither Prefect nor Dask looks into it, as they do into tuples and dataclasses."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


async def call_elsewhere(
    cluster: Cluster, member: Member, caller: Caller, given: Mapping[str, Any], edges: Mapping[str, State[Any]]
) -> tuple[Outcome, State[Any] | None]:
    """Has a step's task run by a cluster; what it returned is not checked. With it, the state of a task run that completed."""
    future: PrefectFuture[Any] | None = None
    try:
        runner = await cluster.started()
        task = _carried(member.callee)
        parameters = get_call_parameters(task.fn, (), {name: _Carried(value) for name, value in given.items()})
        future = runner.submit(task, parameters=parameters, dependencies=_inputs(member, edges, parameters))
        await _over(future)
        return _outcome(caller, *await caller.checking.call(functools.partial(_result, future)))
    except asyncio.CancelledError:
        if future is not None:
            _cancel(future)
        raise
    except Exception as error:  # noqa: BLE001 - a cluster that can't be made or reached, a worker that died: whatever it raises
        return Outcome(error=RunError(f"the task runner could not run it: {describe(error)}")), None


def time_is_up() -> bool:
    """Whether it is Prefect's time limit that cancels."""
    return anyio.current_effective_deadline() <= anyio.current_time()


def _carried(task: Any) -> Any:
    """The task as it is sent to a worker."""
    sent = copy(task)
    sent.fn = _on_worker(task.fn)
    return sent


def _on_worker(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[_Returned]]:
    @functools.wraps(function)
    async def attempt(**given: Any) -> _Returned:
        values = {name: one.value if isinstance(one, _Carried) else one for name, one in given.items()}
        context = TaskRunContext.get()
        attempts = context.task_run.run_count if context is not None else 1
        try:
            return _Returned(await function(**values), attempts)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and time_is_up():
                raise
            said, told = describe(error), explain(error.with_traceback(_below(error, function)))
            raise OperationError(said, told.removeprefix(said), attempts, isinstance(error, RunError)) from error

    return attempt


def _below(error: BaseException, function: Any) -> TracebackType | None:
    """The frames that a function called."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code is not function.__code__:
        trace = trace.tb_next
    return trace.tb_next if trace is not None else None


def _inputs(member: Member, edges: Mapping[str, State[Any]], parameters: Mapping[str, Any]) -> dict[str, set[RunInput]]:
    """For Prefect to show: the task runs that each parameter's records come from."""
    found: dict[str, set[RunInput]] = {}
    for name, wire in member.wires.items():
        runs = [edges[producer].state_details.task_run_id for producer in wire.producers if producer in edges]
        if name in parameters:
            found[name] = {TaskRunResult(id=run) for run in runs if run is not None}
    return found


async def _over(future: PrefectFuture[Any]) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def tell(_: PrefectFuture[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(over.set)

    future.add_done_callback(tell)
    await over.wait()


def _result(future: PrefectFuture[Any]) -> tuple[Any, State[Any]]:
    """What the task returned, or the exception that it failed with, and its state; raises where there is none."""
    result = future.result(raise_on_failure=False)
    return result, future.state


def _outcome(caller: Caller, result: object, state: State[Any]) -> tuple[Outcome, State[Any] | None]:
    if isinstance(result, _Returned):
        # The records are let go: whoever waits for this task run is only shown it.
        return Outcome(result.value, attempts=result.attempts), state.model_copy(update={"data": None})
    if isinstance(result, OperationError):
        error = RunError(result.said) if result.is_final else FarError(result.said, result.more)
        return Outcome(error=error, attempts=result.attempts), None
    settings = caller.function.settings
    if state.name == "TimedOut":
        return Outcome(
            error=CallTimeoutError(f"took longer than {settings.timeout or 0:g} s"), attempts=(settings.retries or 0) + 1
        ), None
    return Outcome(error=RunError(state.message or f"Prefect says: {state.name}")), None


def _cancel(future: Any) -> None:
    """Tells the cluster that nobody waits for it any more, where it can be told."""
    cancel = getattr(future.wrapped_future, "cancel", None)
    if cancel is not None:
        cancel()
