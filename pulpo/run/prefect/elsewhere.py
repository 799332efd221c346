"""The call of an operation on a cluster: its task goes there whole, what it makes comes back to the flow's process."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import pickle
from collections.abc import Collection, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from uuid import UUID

import anyio
import cloudpickle  # type: ignore[import-untyped]
from prefect import Flow, State
from prefect.client.schemas.objects import RunInput, TaskRunResult
from prefect.context import FlowRunContext, TaskRunContext
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


class _Packed:
    """A value on its way to a worker or back, pickled, so that neither Prefect nor Dask looks into it.

    Only who opens it needs the project's modules: a scheduler does not, and a worker without them fails the call. Where Dask
    unpickles by itself such a worker ends, and the run waits for another one.
    """

    __slots__ = ("_pickled",)

    def __init__(self, value: Any) -> None:
        self._pickled: bytes = cloudpickle.dumps(value)

    def open(self) -> Any:
        return pickle.loads(self._pickled)  # noqa: S301 - of our own making


@dataclass(frozen=True, slots=True)
class _Returned:
    """What an operation returned, and with which try."""

    value: _Packed
    attempts: int


async def call_elsewhere(
    cluster: Cluster, member: Member, caller: Caller, given: Mapping[str, Any], edges: Mapping[str, UUID]
) -> tuple[Outcome, State[Any] | None]:
    """Has a step's task run by a cluster; what it returned is not checked. With it, the state of a task run that completed."""
    future: PrefectFuture[Any] | None = None
    try:
        runner = await cluster.started()
        task, packed = await caller.checking.call(lambda: (_packed(member.callee), {k: _Packed(v) for k, v in given.items()}))
        parameters = get_call_parameters(task.fn, (), packed)
        with _bare_flow():
            future = runner.submit(task, parameters=parameters, dependencies=inputs(member, edges, parameters))
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


def _packed(task: Any) -> Any:
    """The task as it is sent to a worker: nothing of the project's can be seen in it."""
    sent = copy(task)
    sent.fn = _on_worker(task.fn)
    functools.update_wrapper(sent, sent.fn)
    return sent


def _on_worker(function: Any) -> Any:
    packed = _Packed(function)

    async def attempt(**given: _Packed) -> _Returned:
        context = TaskRunContext.get()
        attempts = context.task_run.run_count if context is not None else 1
        try:
            called, values = packed.open(), {name: value.open() for name, value in given.items()}
        except Exception as error:
            raise OperationError(f"the worker can't read the call: {describe(error)}", "", attempts, is_final=False) from error
        try:
            return _Returned(_Packed(await called(**values)), attempts)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and time_is_up():
                raise
            said, told = describe(error), explain(error.with_traceback(_below(error, called)))
            raise OperationError(said, told.removeprefix(said), attempts, isinstance(error, RunError)) from error

    attempt.__name__ = function.__name__
    names = inspect.signature(function).parameters
    vars(attempt)["__signature__"] = inspect.Signature([inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY) for n in names])
    return attempt


@contextlib.contextmanager
def _bare_flow() -> Iterator[None]:
    """Within it Prefect sends a flow of the same name along instead of the running one, which holds what is the project's."""
    context = FlowRunContext.get()
    if context is None or context.flow is None:
        yield
        return
    with context.model_copy(update={"flow": _bare(context.flow.name)}):
        yield


@functools.cache
def _bare(name: str) -> Flow[..., Any]:
    return Flow(_nothing, name=name)


def _nothing() -> None:
    """The body of a flow that nobody calls."""


def _below(error: BaseException, function: Any) -> TracebackType | None:
    """The frames that a function called."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code is not function.__code__:
        trace = trace.tb_next
    return trace.tb_next if trace is not None else None


def inputs(member: Member, edges: Mapping[str, UUID], parameters: Collection[str]) -> dict[str, set[RunInput]]:
    """For Prefect to show: the task runs that each parameter's records come from."""
    found: dict[str, set[RunInput]] = {}
    for name, wire in member.wires.items():
        if name in parameters:
            found[name] = {TaskRunResult(id=edges[producer]) for producer in wire.producers if producer in edges}
    return found


async def _over(future: PrefectFuture[Any]) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def tell(_: PrefectFuture[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(over.set)

    future.add_done_callback(tell)
    await over.wait()


def _result(future: PrefectFuture[Any]) -> tuple[Any, State[Any]]:
    """What the operation returned, with its tries, or the exception that the task failed with; and its state.

    Raises where there is none.
    """
    result = future.result(raise_on_failure=False)
    return (Outcome(result.value.open(), attempts=result.attempts) if isinstance(result, _Returned) else result), future.state


def _outcome(caller: Caller, result: object, state: State[Any]) -> tuple[Outcome, State[Any] | None]:
    if isinstance(result, Outcome):
        # The records are let go: whoever waits for this task run is only shown it.
        return result, state.model_copy(update={"data": None})
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
