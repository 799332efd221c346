"""The inline engine: a flow in this process, on this event loop and a few threads."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import to_jsonable_python

from pulpo.compile.flow import FlowDefinition, Step
from pulpo.errors import UsageError
from pulpo.manifest.model import ModelSpec
from pulpo.run.board import Board
from pulpo.run.codec import Codec
from pulpo.run.collector import rare_collections
from pulpo.run.events import Event, Listener
from pulpo.run.failure import describe, paragraphs
from pulpo.run.history import require_run
from pulpo.run.inputs import InputChoice, Outside, Search, keep_files, kept_files
from pulpo.run.parameters import Assigned, assign
from pulpo.run.prepare import ReadyStep, codecs_of, ready_steps
from pulpo.run.record import RUNS, Process, RunRecord, State, new_run_id
from pulpo.run.reuse import Reused, load_needed, of_resumed, still_standing
from pulpo.run.steps import Steps
from pulpo.store.base import Record, Store, StoreError
from pulpo.store.values import now


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
) -> RunRecord:
    """Runs a flow and returns how it went, steps included.

    A step starts as soon as those that it waits for are done. A failed operation fails the run (its state says so, nothing is
    raised) and skips what waits for it; everything else goes on. `resume` names a run of the same flow whose finished steps
    are not run again, and whose parameters and inputs hold where none are given. `selection` is recorded: the operations that
    were chosen, sorted, where `flow` is a part of the one of its name. `store` has to be open.

    Records go by reference from step to step, as validated copies of what was returned; only an operation that puts out the
    model of an input, or is retried, gets copies of its own.

    Raises:
        UsageError: The run can't start as asked: unknown or missing parameters, code that can't be imported, a run that can't be
            resumed.
        RunError: Records from outside are no longer what their models say.
        StoreError: The store can't be used.
        asyncio.CancelledError: The task was cancelled; the run and its steps are stored as cancelled.
    """
    asked = _Asked(parameters or {}, inputs or {})
    earlier = None if resume is None else await _resumable(store, flow, resume)
    started = now()
    run = new_run_id(started)
    with rare_collections():
        plan = await _plan(flow, asked, earlier, models=models, store=store, run=run, on_event=on_event)
        record = RunRecord(
            id=run,
            flow=flow.name,
            state=State.RUNNING,
            started=started,
            parameters=to_jsonable_python(plan.parameters, fallback=str),
            inputs=_inputs(plan, earlier),
            resumed_from=resume,
            root=plan.root,
            selection=selection,
            operations=flow.operations,
            process=Process.current(),
        )
        return await _carry_out(plan, record, store, on_event)


@dataclass(frozen=True, slots=True)
class _Asked:
    parameters: Mapping[str, object]
    inputs: Mapping[str, InputChoice]


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that is found out before the first step starts."""

    #: In the order of the flow.
    steps: Sequence[Step]
    root: str
    parameters: Mapping[str, object]
    files: Mapping[str, InputChoice]
    codecs: Mapping[str, Codec]
    ready: Mapping[str, ReadyStep]
    reused: Mapping[str, Reused]
    search: Search
    outside: Outside


def _inputs(plan: _Plan, earlier: RunRecord | None) -> dict[str, str]:
    """Where records from outside came from; for steps that are reused, in the run where they ran."""
    before = earlier.inputs if earlier else {}
    kept = {slot: source for slot, source in before.items() if slot.rpartition(".")[0] in plan.reused}
    return dict(sorted({**kept, **plan.outside.sources}.items()))


async def _resumable(store: Store, flow: FlowDefinition, resume: str) -> RunRecord:
    earlier = await require_run(store, resume)
    if earlier.flow != flow.name:
        raise UsageError(f"run {resume} is not one of {flow.name}, but of: {earlier.flow}")
    if earlier.state is State.RUNNING:
        where = f"process {earlier.process.pid} on {earlier.process.host}" if earlier.process else "another process"
        raise UsageError(f"the run is still going on, in {where}: {resume}", hint="stop it first")
    return earlier


async def _plan(
    flow: FlowDefinition,
    asked: _Asked,
    earlier: RunRecord | None,
    *,
    models: Mapping[str, ModelSpec],
    store: Store,
    run: str,
    on_event: Listener | None,
) -> _Plan:
    root = earlier.root if earlier else run
    parameters = {**(earlier.parameters if earlier else {}), **asked.parameters}
    assigned = assign(flow, parameters)
    steps = list(flow.steps())
    codecs = await codecs_of(steps, models)
    reused: Mapping[str, Reused] = {}
    if earlier:
        done = await of_resumed(store, earlier, steps, _changed(flow, asked, earlier, assigned))
        reused = await still_standing(store, steps, done, codecs)
    ready = ready_steps(flow, codecs, assigned, run=run, root=root, skipped=reused)
    files = await kept_files(store, earlier.id) if earlier else {}
    search = Search(store, codecs, run, asked.inputs, earlier.inputs if earlier else {}, files, on_event)
    outside = await search.gather(steps, [one.step for one in ready.values()])
    await load_needed(store, steps, reused, codecs)
    kept = {model: InputChoice("file", records=records) for model, records in files.items() if model not in asked.inputs}
    given = {model: choice for model, choice in asked.inputs.items() if choice.kind == "file"}
    return _Plan(steps, root, parameters, kept | given, codecs, ready, reused, search, outside)


def _changed(flow: FlowDefinition, asked: _Asked, earlier: RunRecord, assigned: Assigned) -> set[str]:
    """The operations that are given something else than in the earlier run."""
    before = assign(flow, earlier.parameters)
    changed = {name for name, values in assigned.items() if values != before.get(name)}
    return changed | {s.operation for s in flow.steps() for a in s.arguments if a.from_outside and a.model in asked.inputs}


async def _carry_out(plan: _Plan, record: RunRecord, store: Store, on_event: Listener | None) -> RunRecord:
    board = Board(plan.steps, record.id, on_event)
    try:
        await store.upsert_many(RUNS, [Record(record.id, record.data(), run=record.id)])
        await keep_files(store, record.id, plan.files)
        if on_event is not None:
            on_event(Event("run", record.id, message=record.state.value))
        steps = Steps(
            board, plan.ready, plan.reused, run=record.id, store=store, codecs=plan.codecs, search=plan.search,
            given=plan.outside.given, on_event=on_event,
        )  # fmt: skip
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


async def _conclude(
    store: Store, record: RunRecord, board: Board, state: State, on_event: Listener | None, error: str | None = None
) -> RunRecord:
    """Stores how the run ended."""
    problems = [*([error] if error else []), *board.errors()]
    ended = dataclasses.replace(record, state=state, finished=now(), error=paragraphs(problems) or None, steps=board.records())
    await store.upsert_many(RUNS, [Record(ended.id, ended.data(), run=ended.id)])
    if on_event is not None:
        on_event(Event("run", ended.id, message=state.value))
    return ended
