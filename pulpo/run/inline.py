"""The inline engine: a flow in this process, on this event loop and a few threads."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from pulpo.compile.flow import FlowDefinition
from pulpo.manifest.model import ModelSpec
from pulpo.run.board import Board
from pulpo.run.collector import rare_collections
from pulpo.run.events import Event, Listener
from pulpo.run.failure import describe, paragraphs
from pulpo.run.inputs import InputChoice, keep_files
from pulpo.run.plan import Asked, Plan, prepare
from pulpo.run.record import RUNS, RunRecord, State
from pulpo.run.steps import Steps
from pulpo.store.base import Record, Store, StoreError
from pulpo.store.values import now

#: Seconds between two signs of life of a run's process; see `pulpo.run.record.SILENCE`.
SIGN: Final = 10.0


async def execute(
    flow: FlowDefinition,
    *,
    models: Mapping[str, ModelSpec],
    store: Store,
    parameters: Mapping[str, object] | None = None,
    inputs: Mapping[str, InputChoice] | None = None,
    selection: tuple[str, ...] | None = None,
    resume: str | None = None,
    on_event: Listener | None = None,
    served_as: str | None = None,
) -> RunRecord:
    """Runs a flow and returns how it went, steps included.

    A step starts as soon as those that it waits for are done. A failed operation fails the run (its state says so, nothing is
    raised) and skips what waits for it; everything else goes on. `resume` names a run of the same flow whose finished steps
    are not run again, and whose parameters and inputs hold where none are given. `selection` is recorded: the operations that
    were chosen, sorted, where `flow` is a part of the one of its name. `store` has to be open. `served_as` is the id of a run
    that a server has announced before it starts; see `RunRecord.served`.

    Records go by reference from step to step, as validated copies of what was returned; only an operation that puts out the
    model of an input, or is retried, gets copies of its own.

    Raises:
        UsageError: The run can't start as asked: unknown or missing parameters, code that can't be imported, a run that can't be
            resumed.
        RunError: Records from outside are no longer what their models say.
        StoreError: The store can't be used.
        asyncio.CancelledError: The task was cancelled; the run and its steps are stored as cancelled.
    """
    asked = Asked(parameters or {}, inputs or {})
    with rare_collections():
        plan = await prepare(
            flow, asked, models=models, store=store, selection=selection, resume=resume, on_event=on_event, served_as=served_as
        )
        return await carry_out(plan, store, on_event)


async def carry_out(plan: Plan, store: Store, on_event: Listener | None, make: Callable[..., Steps] = Steps) -> RunRecord:
    """Begins the run, does what is planned, and stores how it ended; `make` is called as the class `Steps` is.

    Raises what `execute` raises once a run has begun.
    """
    record = dataclasses.replace(plan.record, seen=now())
    board = Board(plan.steps, record.id, on_event)
    try:
        await store.upsert_many(RUNS, [Record(record.id, record.data(), run=record.id)])
        await keep_files(store, record.id, plan.files)
        if on_event is not None:
            on_event(Event("run", record.id, message=record.state.value))
        steps = make(
            board, plan.ready, plan.reused, run=record.id, store=store, codecs=plan.codecs, search=plan.search,
            given=plan.outside.given, on_event=on_event,
        )  # fmt: skip
        async with _alive(store, record.id):
            await steps.run()
    except (asyncio.CancelledError, KeyboardInterrupt):
        with contextlib.suppress(StoreError):  # it shows as crashed once this process is gone
            await _conclude(store, record, board, State.CANCELLED, on_event)
        raise
    except BaseException as error:
        with contextlib.suppress(Exception):  # the error that is on its way matters more
            await _conclude(store, record, board, State.FAILED, on_event, describe(error))
        raise
    return await _conclude(store, record, board, State.FAILED if board.errors() else State.COMPLETED, on_event)


@contextlib.asynccontextmanager
async def _alive(store: Store, run: str) -> AsyncIterator[None]:
    """Meanwhile the run's record says again and again that this process executes it: others can't look at its processes."""

    async def say() -> None:
        while True:
            await asyncio.sleep(SIGN)
            with contextlib.suppress(StoreError):  # a store that stays away ends the run by other means
                await store.patch(RUNS, run, {"seen": now()})

    saying = asyncio.create_task(say())
    try:
        yield
    finally:
        saying.cancel()
        await asyncio.wait({saying})


async def _conclude(
    store: Store, record: RunRecord, board: Board, state: State, on_event: Listener | None, error: str | None = None
) -> RunRecord:
    """Stores how the run ended."""
    problems = [*([error] if error else []), *board.errors()]
    error = paragraphs(problems) or None
    ended = dataclasses.replace(record, state=state, finished=now(), seen=None, error=error, steps=board.records())
    await store.upsert_many(RUNS, [Record(ended.id, ended.data(), run=ended.id)])
    if on_event is not None:
        on_event(Event("run", ended.id, message=state.value))
    return ended
