"""What is found out before a run begins, on whatever engine: the code, the parameters, what comes in, what need not run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import to_jsonable_python

from pulpo.compile.flow import FlowDefinition, Step
from pulpo.errors import UsageError
from pulpo.manifest.model import ModelSpec
from pulpo.run import beanie
from pulpo.run.codec import Codec
from pulpo.run.events import Listener
from pulpo.run.history import require_run
from pulpo.run.inputs import InputChoice, Outside, Search, kept_files
from pulpo.run.parameters import Assigned, assign
from pulpo.run.prepare import ReadyStep, codecs_of, ready_steps
from pulpo.run.record import Process, RunRecord, State, new_run_id
from pulpo.run.reuse import Reused, load_needed, of_resumed, still_standing
from pulpo.store.base import Store
from pulpo.store.values import now


@dataclass(frozen=True, slots=True)
class Asked:
    """What whoever starts the run says."""

    parameters: Mapping[str, object]
    inputs: Mapping[str, InputChoice]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is found out before the first step starts."""

    #: The run as it begins; not stored yet.
    record: RunRecord
    #: In the order of the flow.
    steps: Sequence[Step]
    files: Mapping[str, InputChoice]
    codecs: Mapping[str, Codec]
    ready: Mapping[str, ReadyStep]
    reused: Mapping[str, Reused]
    search: Search
    outside: Outside


async def prepare(
    flow: FlowDefinition,
    asked: Asked,
    *,
    models: Mapping[str, ModelSpec],
    store: Store,
    selection: tuple[str, ...] | None = None,
    resume: str | None = None,
    engine: str = "inline",
    on_event: Listener | None = None,
    served_as: str | None = None,
) -> Plan:
    """Finds out all that can be before a run begins; the store is only read. See `pulpo.run.inline.execute`, also for errors."""
    earlier = None if resume is None else await _resumable(store, flow, resume)
    started = now()
    run = served_as or new_run_id(started)
    root = earlier.root if earlier else run
    parameters = {**(earlier.parameters if earlier else {}), **asked.parameters}
    assigned = assign(flow, parameters)
    steps = list(flow.steps())
    beanie.use(store)
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
    record = RunRecord(
        id=run,
        flow=flow.name,
        state=State.RUNNING,
        started=started,
        parameters=to_jsonable_python(parameters, fallback=str),
        inputs=_inputs(reused, outside, earlier),
        engine=engine,
        resumed_from=resume,
        root=root,
        selection=selection,
        operations=flow.operations,
        process=Process.current(),
        served=served_as is not None,
    )
    return Plan(record, steps, kept | given, codecs, ready, reused, search, outside)


def _inputs(reused: Mapping[str, Reused], outside: Outside, earlier: RunRecord | None) -> dict[str, str]:
    """Where records from outside came from; for steps that are reused, in the run where they ran."""
    before = earlier.inputs if earlier else {}
    kept = {slot: source for slot, source in before.items() if slot.rpartition(".")[0] in reused}
    return dict(sorted({**kept, **outside.sources}.items()))


async def _resumable(store: Store, flow: FlowDefinition, resume: str) -> RunRecord:
    earlier = await require_run(store, resume)
    if earlier.flow != flow.name:
        raise UsageError(f"run {resume} is not one of {flow.name}, but of: {earlier.flow}")
    if earlier.state is State.RUNNING:
        where = f"process {earlier.process.pid} on {earlier.process.host}" if earlier.process else "another process"
        raise UsageError(f"the run is still going on, in {where}: {resume}", hint="stop it first")
    return earlier


def _changed(flow: FlowDefinition, asked: Asked, earlier: RunRecord, assigned: Assigned) -> set[str]:
    """The operations that are given something else than in the earlier run."""
    before = assign(flow, earlier.parameters)
    changed = {name for name, values in assigned.items() if values != before.get(name)}
    return changed | {s.operation for s in flow.steps() for a in s.arguments if a.from_outside and a.model in asked.inputs}
