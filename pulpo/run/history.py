"""Reading the history of runs. Runs are ordered by their start; ids of runs sort the same way."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pulpo.errors import UsageError
from pulpo.names import did_you_mean
from pulpo.run.record import CACHE, CHUNK, OUTPUTS, RUNS, STEPS, RunRecord, State, StepRecord, output_id, output_place, step_id
from pulpo.store.base import Collection as StoreCollection
from pulpo.store.base import Condition, Record, Sort, Store

_PAGE = 1_000
#: What to do where there is no run.
NO_RUNS = "`pulpo run pipeline` makes one"


async def list_runs(
    store: Store, *, flow: str | None = None, state: State | None = None, flow_run: str | None = None, limit: int = 50
) -> list[RunRecord]:
    """The latest runs, newest first, without their steps; `flow_run` is Prefect's id of one, which may have been retried."""
    stored = State.RUNNING if state is State.CRASHED else state
    where = [Condition("flow", "eq", flow)] if flow else []
    where += [Condition("state", "eq", stored.value)] if stored else []
    where += [Condition("flow_run", "eq", flow_run)] if flow_run else []
    found: list[RunRecord] = []
    async for record in every(store, RUNS, where, sort=(Sort("_id", descending=True),), page=min(limit, _PAGE)):
        run = RunRecord.of(record)
        if state is None or run.state is state:
            found.append(run)
        if len(found) == limit:
            break
    return found


async def get_run(store: Store, run: str) -> RunRecord | None:
    """A run with its steps; those that were not reached are pending, in a run that is over too."""
    record = await store.get(RUNS, run)
    if record is None:
        return None
    found = RunRecord.of(record)
    rows = await load(store, STEPS, [step_id(run, name) for name in found.operations])
    steps = {step.operation: found.judged(step) for step in (StepRecord.of(row.data) for row in rows)}
    return replace(found, steps=tuple(steps.get(name) or StepRecord(name, "") for name in found.operations))


async def require_run(store: Store, run: str) -> RunRecord:
    """A run with its steps.

    Raises:
        UsageError: There is none with this id.
    """
    found = await get_run(store, run)
    if found is None:
        near = did_you_mean(run, [known.id for known in await list_runs(store)])
        raise UsageError(f"there is no such run: {run}", hint=near or "`pulpo runs` lists them")
    return found


async def find_run(store: Store, run: str) -> RunRecord:
    """A run with its steps, by its id, the beginning of one, or `latest`.

    Raises:
        UsageError: There is no such run, or several begin so.
    """
    if run == "latest":
        latest = await list_runs(store, limit=1)
        if not latest:
            raise UsageError("there are no runs yet", hint=NO_RUNS)
        return await require_run(store, latest[0].id)
    if (found := await get_run(store, run)) is not None:
        return found
    begin_so = [known.id for known in await list_runs(store, limit=_PAGE) if known.id.startswith(run)]
    if len(begin_so) > 1:
        raise UsageError(f"several runs begin so: {', '.join(begin_so[:5])}", hint="give more of the id")
    return await require_run(store, begin_so[0] if begin_so else run)


async def output_ids(store: Store, run: RunRecord, operations: Collection[str] | None = None) -> dict[str, list[list[str]]]:
    """What operations of a run put out: by operation, sorted, the ids of each output as produced. `run` has its steps."""
    steps = [s for s in sorted(run.steps, key=lambda s: s.operation) if operations is None or s.operation in operations]
    slots = [
        (s.operation, position, chunk) for s in steps for position, n in enumerate(s.outputs) for chunk in range(0, n, CHUNK)
    ]
    rows = await load(store, OUTPUTS, [output_id(run.id, name, position, chunk // CHUNK) for name, position, chunk in slots])
    by_id = {row.id: row.data["ids"] for row in rows}
    found: dict[str, list[list[str]]] = {s.operation: [[] for _ in s.outputs] for s in steps}
    for name, position, chunk in slots:
        found[name][position] += by_id.get(output_id(run.id, name, position, chunk // CHUNK), [])
    return found


async def ids_from(store: Store, run: str, operation: str, position: int, start: int, count: int) -> list[str]:
    """So many ids of one output of a run, as produced, from a place on."""
    chunks = range(start // CHUNK, (start + count - 1) // CHUNK + 1)
    rows = await load(store, OUTPUTS, [output_id(run, operation, position, chunk) for chunk in chunks])
    found: list[str] = []
    for row in rows:
        first = output_place(row.id)[2] * CHUNK
        found += row.data["ids"][max(start - first, 0) : start + count - first]
    return found


@dataclass(frozen=True, slots=True)
class Stored:
    """Records of one model that a run stored: ids by operation, the operations sorted, ids as produced."""

    run: str
    started: dt.datetime
    ids: Mapping[str, Sequence[str]]


async def last_stored(store: Store, model: str, operations: Sequence[str] | None = None, *, but: str = "") -> Stored | None:
    """The last completed run, `but` left out, in which one of the operations (None: any) put out records of the model."""
    where = [Condition("model", "eq", model)]
    if operations is not None:
        where.append(Condition("operation", "in", list(operations)))
    passed = {but}
    async for record in every(store, OUTPUTS, where, sort=(Sort("run", descending=True),)):
        run = record.data["run"]
        if run not in passed:
            passed.add(run)
            found = await store.get(RUNS, run)
            if found is not None and found.data["state"] == State.COMPLETED.value:
                return await stored_in(store, RunRecord.of(found), model, operations)
    return None


async def stored_in(store: Store, run: RunRecord, model: str, operations: Sequence[str] | None = None) -> Stored | None:
    """The records of the model that the operations (None: any) put out in this run; None where there are none."""
    where = [Condition("model", "eq", model), Condition("run", "eq", run.id)]
    rows = [row async for row in every(store, OUTPUTS, where, page=_PAGE)]
    ids: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: output_place(row.id)):
        if operations is None or row.data["operation"] in operations:
            ids.setdefault(row.data["operation"], []).extend(row.data["ids"])
    return Stored(run.id, run.started, ids) if ids else None


async def cached_run(store: Store, key: str, since: dt.datetime | None) -> str | None:
    """The run in which a step with this cache key completed last, if not before `since`; None where there is none."""
    record = await store.get(CACHE, key)
    if record is None or (since is not None and record.data["finished"] < since):
        return None
    run: str = record.data["run"]
    return run


async def load(store: Store, collection: StoreCollection, ids: Sequence[str]) -> list[Record]:
    """The records of these ids, in their order, those that are gone left out."""
    found: list[Record] = []
    for start in range(0, len(ids), CHUNK):
        found += await store.get_many(collection, ids[start : start + CHUNK])
    return found


async def every(
    store: Store, collection: StoreCollection, where: Sequence[Condition], *, sort: Sequence[Sort] = (), page: int = 100
) -> AsyncIterator[Record]:
    """All records that meet the conditions, page by page."""
    after: str | None = None
    while True:
        found = await store.find(collection, where, sort=sort, limit=page, after=after)
        for record in found.items:
            yield record
        if found.next is None:
            return
        after = found.next
