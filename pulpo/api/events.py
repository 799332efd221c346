"""`/events`: what changes in the store, as server-sent events, whichever process changes it.

One poller serves all clients of an app: twice a second it asks the store for the versions of its collections, and looks closer
only where one moved. There are events `run` and `step` (a state that was reached), `records` (a hint: something in a model's
collection changed) and `logs` (a hint: a run may have new lines); `ready` opens each stream. Events may come twice, and of
several changes between two looks only the last is told; each says how things stand, so neither matters.

The id of an event is `SUM-TIME`: the sum of all collections' versions, which only ever grows and is the same for everybody who
looks at that state of the store, and the time of the look. So every API on a store, also one started since, can go on after any
id: exactly, where it still has the events; else it tells how the runs stand that may have changed since that time, and of all
collections that they may have. Only the last event of a look carries its id: a stream that breaks off before it gets the whole
look again. A filter that lets nothing of a look through leaves its id.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import logging
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from fastapi.responses import StreamingResponse

from pulpo.api.context import Context, context_of
from pulpo.api.parameters import known_alone
from pulpo.api.problems import Fault, Problem, invalid
from pulpo.names import did_you_mean
from pulpo.run.codec import collection_of
from pulpo.run.history import every
from pulpo.run.record import LOGS, RUNS, STEPS, RunRecord, State, StepRecord
from pulpo.store.base import Condition, Record, Store, StoreError
from pulpo.store.values import now

if TYPE_CHECKING:
    from pulpo.manifest.model import Manifest

#: Seconds between two looks at the store.
EVERY: Final = 0.5
#: Seconds without an event after which a comment keeps the connection open.
KEEP_ALIVE: Final = 15.0
#: Milliseconds after which a client that lost its stream comes back.
RETRY: Final = 1000
#: Looks whose events are kept for clients that come back.
_KEPT: Final = 1000
#: Events that wait for a client; one that is slower loses its stream, and comes back.
_BACKLOG: Final = 10_000
#: A run that began before this many seconds and was not running at the last look has been seen to end.
_FRESH: Final = dt.timedelta(seconds=60)
#: Runs whose changes are told to a client that was away for longer than is kept.
_GAP: Final = 1000

_ID: Final = re.compile(r"\d{1,18}-\d{1,13}")
_LOG = logging.getLogger("pulpo.api")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed; `run` and `model` say what filters it passes."""

    kind: str
    data: Mapping[str, Any]
    run: str | None = None
    model: str | None = None

    def text(self) -> str:
        """As it is sent, without an id."""
        return f"event: {self.kind}\ndata: {json.dumps(self.data, separators=(',', ':'))}\n"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the store found, in the order of: runs, steps, records, logs."""

    id: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events a client wants; without runs and models all."""

    runs: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()

    def passes(self, event: Event) -> bool:
        """Whether the event is wanted."""
        return not (self.runs or self.models) or event.run in self.runs or event.model in self.models


class Observer:
    """Looks at one store again and again, and tells what changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._versions: Mapping[str, int] = {}
        #: The runs that were not over at the last look.
        self._open: dict[str, RunRecord] = {}
        #: By run, what was told of it last; a sign of life is nothing new.
        self._told: dict[str, Event] = {}
        #: By run, the steps that were told of last: all that have the latest time, by their writer's clock.
        self._steps: dict[str, list[Record]] = {}
        self.id = ""

    async def begin(self) -> None:
        """What is there now is known.

        Raises:
            StoreError: The store does not answer.
        """
        self._versions = dict(await self._store.versions())
        await self._runs()
        self.id = _id(self._versions)

    async def look(self, manifest: Manifest) -> Look | None:
        """What changed since the last look; None where nothing did.

        Raises:
            StoreError: The store does not answer; the next look tells what this one would have.
        """
        versions = dict(await self._store.versions())
        changed = {name for name, version in versions.items() if version != self._versions.get(name)}
        near, events = set(self._open), list[Event]()
        if changed & {RUNS.name, STEPS.name} or any(run.is_given_up for run in self._open.values()):
            events += await self._runs()
            near |= {event.run for event in events if event.run}
        events += records_events(manifest, versions, changed)
        if LOGS.name in changed:
            events += [Event("logs", {"run": run}, run=run) for run in sorted(near)]
        self._versions = versions
        if not changed and not events:
            return None
        self.id = _id(versions)
        return Look(self.id, tuple(events))

    async def _runs(self) -> list[Event]:
        """What changed of runs and of their steps; nothing is noted as told before all is read."""
        candidates = [RunRecord.of(record) for record in await self._candidates()]
        told = {run.id: _run_event(run) for run in candidates}
        changed = [run for run in candidates if self._told.get(run.id) != told[run.id]]
        near = {run.id: run for run in candidates if run.state is State.RUNNING} | {run.id: run for run in changed}
        steps = {run: await self._new_steps(run) for run in sorted(near)}
        self._told = told
        self._open = {run.id: run for run in near.values() if run.state is State.RUNNING}
        self._steps = {run: _latest(self._steps.get(run, []), steps[run]) for run in self._open}
        step_events = [_step_event(near[run], step) for run, some in steps.items() for step in some]
        return [*(told[run.id] for run in changed), *step_events]

    async def _candidates(self) -> list[Record]:
        """The runs that may have changed since the last look: those that go on, that went on then, or began since; by id.

        Ids of runs begin with their start.
        """
        found = {r.id: r async for r in every(self._store, RUNS, [Condition("state", "eq", State.RUNNING.value)])}
        since = f"{now() - _FRESH:%Y%m%d-%H%M%S}"
        found |= {r.id: r async for r in every(self._store, RUNS, [Condition("_id", "gte", since)])}
        found |= {r.id: r for r in await self._store.get_many(RUNS, sorted(set(self._open) - set(found)))}
        return [found[run] for run in sorted(found)]

    async def _new_steps(self, run: str) -> list[Record]:
        """The steps of a run that changed since the last look."""
        before = {(step.id, step.rev) for step in self._steps.get(run, [])}
        since = max((_updated(step) for step in self._steps.get(run, [])), default=_LONG_AGO)
        return [step for step in await steps_since(self._store, run, since) if (step.id, step.rev) not in before]


_LONG_AGO: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


def _latest(before: Sequence[Record], new: Sequence[Record]) -> list[Record]:
    """Of the steps those with the latest time."""
    steps = [*before, *new]
    latest = max(map(_updated, steps), default=_LONG_AGO)
    return [step for step in steps if _updated(step) == latest]


def _updated(record: Record) -> dt.datetime:
    return record.updated or _LONG_AGO


async def steps_since(store: Store, run: str, since: dt.datetime) -> list[Record]:
    """Records of steps of a run that were written at or after a time, by operation."""
    where = [Condition("_id", "gt", f"{run}:"), Condition("_id", "lt", f"{run};"), Condition("_updated", "gte", since)]
    return [record async for record in every(store, STEPS, where, page=1000)]


def records_events(manifest: Manifest, versions: Mapping[str, int], changed: Iterable[str]) -> list[Event]:
    """A hint for each model whose collection changed, by name."""
    events = []
    for model, spec in sorted(manifest.models.items()):
        collection = collection_of(model, spec).name
        if collection in changed:
            events.append(Event("records", {"model": model, "version": versions.get(collection, 0)}, model=model))
    return events


def _run_event(run: RunRecord) -> Event:
    data = {
        "run": run.id,
        "flow": run.flow,
        "state": run.state.value,
        "engine": run.engine,
        "started": run.started.isoformat(timespec="milliseconds"),
        "finished": run.finished.isoformat(timespec="milliseconds") if run.finished else None,
        "error": run.error.partition("\n")[0] if run.error else None,
    }
    return Event("run", data, run=run.id)


def _step_event(run: RunRecord, record: Record) -> Event:
    names = ("run", "operation", "attempts", "started", "finished")
    data = {name: record.data.get(name) for name in names}
    data["state"] = run.judged(StepRecord.of(record.data)).state.value
    data["error"] = (record.data.get("error") or "").partition("\n")[0] or None
    return Event("step", data, run=record.data["run"])


def _id(versions: Mapping[str, int]) -> str:
    return f"{sum(versions.values())}-{time.time_ns() // 1_000_000}"


class Events:
    """The streams of one app, and the poller that feeds them; it polls from the first stream on."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._observer = Observer(app.state.context.store)
        #: The latest looks; the client whose last event is that of one of them, or `_first`, gets those after it.
        self._looks: deque[Look] = deque(maxlen=_KEPT)
        self._first = ""
        self._streams: set[asyncio.Queue[Look | None]] = set()
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        #: What clients get that come back to the present look from one that is not kept: many do, when an API is started again.
        self._gaps: dict[str, asyncio.Task[Look]] = {}
        self._ended = False

    async def start(self) -> None:
        """Polls from now on.

        Raises:
            StoreError: The store does not answer.
        """
        async with self._starting:
            if self._task is None:
                await self._observer.begin()
                self._first = self._observer.id
                self._task = asyncio.create_task(self._poll())

    async def stream(self, last: str | None, wanted: Filter) -> AsyncIterator[str]:
        """The text of one client's stream, from the event `last` on, if it had one, else from now on; ends as the app does."""
        queue: asyncio.Queue[Look | None] = asyncio.Queue(_BACKLOG)
        missed, at = self._kept_after(last), self._observer.id
        self._streams.add(queue)
        try:
            if missed is None:
                missed = [await self._gap(str(last))]
            yield f"retry: {RETRY}\n" + _sent("event: ready\ndata: {}\n", None if missed else at)
            for look in missed:
                yield _text(look, wanted)
            while not self._ended:
                try:
                    look_or_none = await asyncio.wait_for(queue.get(), KEEP_ALIVE)
                except TimeoutError:
                    yield _sent(": keep-alive\n", at)
                    continue
                if look_or_none is None:
                    return
                at = look_or_none.id
                yield _text(look_or_none, wanted)
        finally:
            self._streams.discard(queue)

    def end(self) -> None:
        """All streams end; clients come back to whatever is there then."""
        self._ended = True
        for queue in self._streams:
            _give_up(queue)

    async def stop(self) -> None:
        """Ends the streams and the poller."""
        self.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                look = await self._observer.look(self._app.state.context.manifest)
            except StoreError as error:
                _LOG.warning("the store can't be asked what changed: %s", error)
                continue
            if look is None:
                continue
            self._first = self._looks[0].id if len(self._looks) == _KEPT else self._first
            self._looks.append(look)
            self._gaps.clear()
            for queue in self._streams:
                try:
                    queue.put_nowait(look)
                except asyncio.QueueFull:
                    _give_up(queue)

    def _kept_after(self, last: str | None) -> list[Look] | None:
        """The looks after the one with this id; None where it is not kept."""
        if last is None:
            return []
        known = [self._first, *(look.id for look in self._looks)]
        if last in known:
            return list(self._looks)[known.index(last) :]
        return [] if last.partition("-")[0] == self._observer.id.partition("-")[0] else None

    async def _gap(self, last: str) -> Look:
        """How everything stands that may have changed since an event that is not kept."""
        if last not in self._gaps:
            since = dt.datetime.fromtimestamp(int(last.partition("-")[2]) / 1000, dt.UTC) - _FRESH
            self._gaps[last] = asyncio.create_task(_look_back(self._app.state.context, self._observer.id, since))
        return await asyncio.shield(self._gaps[last])


async def _look_back(context: Context, at: str, since: dt.datetime) -> Look:
    store, events = context.store, list[Event]()
    runs: dict[str, Record] = {}
    for where in ([Condition("state", "eq", State.RUNNING.value)], [Condition("finished", "gte", since)]):
        runs |= {record.id: record for record in (await store.find(RUNS, where, limit=_GAP)).items}
    for record in sorted(runs.values(), key=lambda record: record.id):
        run = RunRecord.of(record)
        events.append(_run_event(run))
        events += [_step_event(run, step) for step in await steps_since(store, record.id, since)]
    versions = await store.versions()
    events += records_events(context.manifest, versions, versions)
    events += [Event("logs", {"run": run}, run=run) for run in sorted(runs)]
    return Look(at, tuple(events))


def _text(look: Look, wanted: Filter) -> str:
    """The wanted events of a look, the last one with its id; where there is none the id alone, which makes no event."""
    texts = [event.text() for event in look.events if wanted.passes(event)]
    return _sent("\n".join(texts), look.id)


def _sent(text: str, last: str | None) -> str:
    return f"{text}id: {last}\n\n" if last else f"{text}\n"


def _give_up(queue: asyncio.Queue[Look | None]) -> None:
    """Ends a stream behind what was sent: its client comes back for the rest."""
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(None)


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The app has streams from its start to its end."""
    app.state.events = events = Events(app)
    try:
        yield
    finally:
        await events.stop()


def router(context: Context) -> APIRouter:  # noqa: ARG001 - all routers are made alike
    """The route of events."""
    routes = APIRouter(tags=["runs"], dependencies=[Depends(known_alone)])
    stream: dict[int | str, dict[str, Any]] = {
        200: {"description": "A stream that does not end", "content": {"text/event-stream": {}}}
    }
    routes.add_api_route(
        "/events", get_events, operation_id="get_events", response_class=StreamingResponse, responses=dict(stream)
    )
    return routes


async def get_events(
    request: Request,
    run: Annotated[list[str], Query(description="Only of these runs.")] = [],  # noqa: B006 - FastAPI copies it
    model: Annotated[list[str], Query(description="Only of records of these models.")] = [],  # noqa: B006
    last_event_id: Annotated[str | None, Header(description="Go on after this event.")] = None,
) -> StreamingResponse:
    """What changes, as it does, whoever changes it: runs, steps, and hints that records or logs changed."""
    models = context_of(request).manifest.models
    if unknown := sorted(set(model) - set(models)):
        raise invalid([Fault(("query", "model"), f"there is no such model: {m}", did_you_mean(m, models)) for m in unknown])
    if last_event_id is not None and not _ID.fullmatch(last_event_id):
        raise Problem(400, "no event has this id: send `Last-Event-ID` as it came")
    events: Events = request.app.state.events
    await events.start()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    texts = events.stream(last_event_id, Filter(frozenset(run), frozenset(model)))
    return StreamingResponse(texts, media_type="text/event-stream", headers=headers)
