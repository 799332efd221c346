"""A run whose steps are Prefect task runs: the inline engine says when each may begin, the flows' own coroutines do them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from prefect import Flow, State
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Completed, Failed

from pulpo.errors import RunError
from pulpo.manifest.flow import FlowSpec
from pulpo.run.board import Live
from pulpo.run.call import Caller, Calling, forget_cancellation
from pulpo.run.failure import describe
from pulpo.run.inline import carry_out
from pulpo.run.prefect.plans import Planned, planned
from pulpo.run.prefect.tagged import tagged
from pulpo.run.prefect.task_runners import enter_flow
from pulpo.run.prefect.tasks import TaskCaller, show
from pulpo.run.prefect.text import Text, being_read, read
from pulpo.run.prefect.wiring import Member
from pulpo.run.record import State as Stands
from pulpo.run.signals import listen
from pulpo.run.steps import Steps

_RUN: contextvars.ContextVar[PrefectSteps | None] = contextvars.ContextVar("pulpo_run", default=None)
#: Held by a subflow that starts, until its body begins.
_STARTING: contextvars.ContextVar[asyncio.Lock | None] = contextvars.ContextVar("pulpo_starting", default=None)


async def run(*members: Member) -> State[Any]:
    """Does the members of the flow whose body this is, each as soon as its own inputs are there.

    The outermost flow begins and ends Pulpo's run; those in it take part. The state says all errors, and what was not run.

    Raises:
        PulpoError: The run can't start, or its history can't be written.
    """
    if being_read(members):
        return Completed()
    current = _RUN.get()
    enter_flow()
    try:
        if current is not None:
            listen()
            _begun()
            await current.do(members)
            return current.state_of(members)
        return await _outermost(members)
    except asyncio.CancelledError:
        forget_cancellation()
        return Cancelled(message="the run was cancelled")


async def _outermost(members: Sequence[Member]) -> State[Any]:
    context = FlowRunContext.get()
    if context is None or context.flow is None:
        raise RuntimeError("run() is the body of a flow")
    text = await read(members)
    text.runners[context.flow.name] = context.flow.task_runner
    async with planned(context.flow, dict(context.parameters or {}), text) as this:
        listen()
        steps: list[PrefectSteps] = []

        def make(*args: Any, **kwargs: Any) -> Steps:
            steps.append(PrefectSteps(*args, **kwargs, members=members, text=text, flows=this.compiler.manifest.flows))
            return steps[0]

        await _carry_out(this, make)
        return steps[0].state_of(members)


async def _carry_out(this: Planned, make: Callable[..., Steps]) -> None:
    try:
        this.record = await carry_out(this.plan, this.store, this.on_event, make)
    except BaseException as error:
        this.error = error
        raise


def _begun() -> None:
    """The body of a subflow begins: the next one may start."""
    lock = _STARTING.get()
    if lock is not None:
        _STARTING.set(None)
        lock.release()


class PrefectSteps(Steps):
    """The steps of one run. It starts none by itself: the body of the flow that a step is in waits for its turn."""

    def __init__(
        self, *args: Any, run: str, members: Sequence[Member], text: Text, flows: Mapping[str, FlowSpec], **kwargs: Any
    ) -> None:
        super().__init__(*args, run=run, **kwargs)
        self.run_id = run
        self._members = members
        self._text = text
        self._flows = flows
        #: Set when a step may begin, will not run, or the run breaks off.
        self._turns = {name: asyncio.Event() for name in self.board.lives}
        #: The task runs of steps that completed, by operation; of a mapped one, the last.
        self._runs: dict[str, UUID] = {}
        self._starting = asyncio.Lock()

    async def do(self, members: Iterable[Member]) -> None:
        """Does the members of one flow, at the same time; returns when all of them are over.

        Raises:
            asyncio.CancelledError: The run is cancelled, or broke off.
        """
        async with asyncio.TaskGroup() as group:
            for member in members:
                if isinstance(member.callee, Flow):
                    if not self._text.below[member.callee.fn].isdisjoint(self.board.lives):
                        group.create_task(self._subflow(member.callee, member))
                elif member.callee.name in self.board.lives:
                    group.create_task(self._step(self.board.lives[member.callee.name]))

    def state_of(self, members: Iterable[Member]) -> State[Any]:
        """How a flow ended, of which all members are over."""
        names: set[str] = set()
        for member in members:
            names |= self._text.below[member.callee.fn] if isinstance(member.callee, Flow) else {member.callee.name}
        lives = [live for name, live in self.board.lives.items() if name in names]
        errors = [f"{x.step.operation}: {x.error}" for x in lives if x.state is Stands.FAILED and not x.tolerated]
        skipped = [x.step.operation for x in lives if x.state is Stands.SKIPPED and not x.tolerated]
        if skipped:
            errors.append(f"not run: {', '.join(skipped)}")
        if errors:
            return Failed(message="\n".join(errors))
        count = f"{len(lives)} operation{'' if len(lives) == 1 else 's'}"
        return Completed(message=f"{count}, run {self.run_id}")

    async def _go_on(self) -> None:
        token = _RUN.set(self)
        flows = asyncio.get_running_loop().create_task(self.do(self._members))
        _RUN.reset(token)
        self._tasks.add(flows)
        broken = asyncio.get_running_loop().create_task(asyncio.wait({self._over}))
        try:
            await asyncio.wait({flows, self._writer.task, broken}, return_when=asyncio.FIRST_COMPLETED)
            if self._over.done():
                self._over.result()  # raises where the run broke off
            await asyncio.wait({flows, self._writer.task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            broken.cancel()
        if flows.done():
            flows.result()

    def _through(self, caller: Caller) -> Calling:
        operation = caller.function.operation
        after = self.board.lives[operation].step.after
        return TaskCaller(
            caller,
            self._text.steps[operation],
            edges=lambda: {name: self._runs[name] for name in after if name in self._runs},
            note=lambda state: self._note(operation, state),
        )

    def _note(self, operation: str, state: State[Any]) -> None:
        run = state.state_details.task_run_id
        if run is not None:
            self._runs[operation] = run

    def _begin(self, live: Live) -> bool:
        self._turns[live.step.operation].set()
        if live.blocked_by and not self._ending.is_set():
            self._skip(live, f"skipped: {live.blocked_by} did not complete", tolerated=False)
            return False
        return True

    def _break_off(self, error: BaseException) -> None:
        super()._break_off(error)
        for turn in self._turns.values():
            turn.set()

    async def _step(self, live: Live) -> None:
        operation = live.step.operation
        if operation not in self._reused:
            await self._turns[operation].wait()
        if live.state is Stands.PENDING and not self._ending.is_set() and not _failed(self._over):
            await self._carry_out(live)
        if not self._ending.is_set() and not _failed(self._over):
            await self._show(live)

    async def _show(self, live: Live) -> None:
        """A task run for a step that was not called, so that Prefect shows it."""
        if live.state is Stands.REUSED:
            state: Callable[[], State[Any]] = partial(Completed, name="Cached", message=f"reused from {live.result.reused_from}")
        elif live.state is Stands.SKIPPED:
            state = partial(Completed if live.tolerated else Cancelled, name="Skipped", message=live.error)
        else:
            return
        try:
            await show(self._text.steps[live.step.operation], state)
        except Exception as error:  # noqa: BLE001 - whatever it is, Prefect's server refuses or is gone
            self._break_off(RunError(f"Prefect could not show {live.step.operation}: {describe(error)}"))

    async def _subflow(self, flow: Flow[..., Any], member: Member) -> None:
        """Runs a subflow; they start one after the other.

        A server on SQLite refuses the second of two that start at once, and Prefect's client tries again after two seconds.
        """
        named: Any = flow.with_options(flow_run_name=flow.name, validate_parameters=False)
        said = self._flows.get(flow.name)
        await self._starting.acquire()
        _STARTING.set(self._starting)
        try:
            with tagged((said.tags or ()) if said is not None else ()):
                state: State[Any] = await named(**member.values, return_state=True)
        except asyncio.CancelledError:
            if self._ending.is_set():
                raise
            forget_cancellation()
            self._break_off(RunError(f"somebody cancelled the flow {flow.name}"))
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, Prefect's server refuses or is gone
            self._break_off(RunError(f"Prefect could not run the flow {flow.name}: {describe(error)}"))
            return
        finally:
            _begun()
            listen()
        if (state.is_crashed() or state.data is not None) and not self._ending.is_set():
            self._check_over(flow, state)

    def _check_over(self, flow: Flow[..., Any], state: State[Any]) -> None:
        """A subflow that ended before its steps did, such as one that Prefect could not start, breaks the run off."""
        steps = [self.board.lives[name] for name in self._text.below[flow.fn] if name in self.board.lives]
        if any(live.state in (Stands.PENDING, Stands.RUNNING) for live in steps):
            self._break_off(RunError(f"the flow {flow.name} ended before its steps: {state.message or state.name}"))


def _failed(future: asyncio.Future[None]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is not None
