"""Runs in the API's own process: on one thread with an event loop and a store connection of its own.

What operations do there stops no request: sync functions run in daemon threads, async ones on that loop. A run belongs to the
runner, not to the request that asked for it. It is cancelled by `cancel`, by the end of the app, or by a record in
`pulpo_cancels`, through which the other processes on the store ask for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import threading
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fastapi import FastAPI

from pulpo.api.problems import Problem
from pulpo.declare.discover import add_to_path
from pulpo.run.inline import execute
from pulpo.run.record import CANCELS, RUNS, RunRecord, State
from pulpo.run.start import start
from pulpo.store.base import Record, Store, StoreError
from pulpo.store.values import now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.manifest.model import Manifest
    from pulpo.run.events import Event
    from pulpo.run.inputs import InputChoice
    from pulpo.run.start import Part

T = TypeVar("T")

#: Seconds that runs have to end when the app does: more than the engine gives cancelled operations.
GRACE: Final = 6.5
#: Seconds between two looks at what other processes ask for.
_LOOK: Final = 0.5

#: Seconds in which the runs' store is closed.
_CLOSING: Final = 1.0
_LATER: Final = {"Retry-After": "5"}

_LOG = logging.getLogger("pulpo.api")


@dataclass(frozen=True, slots=True)
class Job:
    """What is to run, in the words of `pulpo.run.start.start`."""

    manifest: Manifest
    #: The id that the run gets.
    run: str
    name: str | None
    part: Part
    parameters: Mapping[str, object] = field(default_factory=dict)
    inputs: Mapping[str, InputChoice] = field(default_factory=dict)
    resume: str | None = None


class _Live:
    """A run that goes on, or is about to."""

    def __init__(self) -> None:
        #: Done when the run is recorded, or can't start.
        self.begun: Future[None] = Future()
        #: Done in the end.
        self.over: Future[None] = Future()
        self.task: asyncio.Task[None] | None = None


class Runner:
    """Runs jobs, several at once; `start` and `stop` are the app's to call."""

    def __init__(self, store: Store, *, limit: int = 8, grace_s: float = GRACE) -> None:
        """`store` has to be open; runs use it opened `another` time. One more than `limit` at once is refused."""
        self._outer = store
        self._store = store.another()
        self._limit = limit
        self._grace_s = grace_s
        self._lives: dict[str, _Live] = {}
        self._closing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="pulpo-runs", daemon=True)

    @property
    def running(self) -> tuple[str, ...]:
        """The runs that go on here, sorted."""
        return tuple(sorted(self._lives.copy()))

    async def start(self) -> None:
        """Starts the thread; its store is open afterwards.

        Raises:
            PulpoError: The store can't be opened.
        """
        self._thread.start()
        await self._there(self._open())

    async def submit(self, job: Job) -> None:
        """Starts a run; returns when it is recorded as running.

        Whoever waits for this may go away: the run starts nevertheless.

        Raises:
            Problem: 429, as many run as may; 503, the app ends.
            PulpoError: It can't start as asked; nothing is recorded.
        """
        if self._closing:
            raise Problem(503, "the API is shutting down", headers=_LATER)
        if len(self._lives) >= self._limit:
            hint = "wait for one of them to end, or cancel one"
            raise Problem(429, f"as many runs go on as this API allows: {self._limit}", hint=hint, headers=_LATER)
        self._lives[job.run] = live = _Live()
        self._loop.call_soon_threadsafe(self._begin, job, live)
        await asyncio.shield(asyncio.wrap_future(live.begun))

    def cancel(self, run: str) -> bool:
        """Cancels a run; False where it is not one of this runner, or over. It is recorded a little later."""
        if run not in self._lives:
            return False
        self._loop.call_soon_threadsafe(self._cancel, run)
        return True

    async def wait(self, run: str, seconds: float | None = None) -> None:
        """Waits until the run is over, so long at most; not at all where it is none of this runner."""
        live = self._lives.get(run)
        if live is not None:
            await asyncio.wait({asyncio.wrap_future(live.over)}, timeout=seconds)

    def cancel_all(self) -> None:
        """Cancels what runs; no new ones from now on."""
        self._closing = True
        for run in self.running:
            self.cancel(run)

    async def stop(self) -> None:
        """Cancels all runs and waits until they are recorded, for a bounded time.

        A run that does not end in time, as one whose code blocks its event loop, is recorded as cancelled from here.
        """
        self.cancel_all()
        await asyncio.gather(*(self.wait(run, self._grace_s) for run in self.running))
        for run in self.running:
            await self._give_up(run)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._there(self._close()), _CLOSING)
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join, _CLOSING)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.wait(left, timeout=_CLOSING))
        self._loop.close()

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine gives in the runner's loop; it goes on where nobody waits any more."""
        return await asyncio.shield(asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop)))

    async def _open(self) -> None:
        await self._store.open()
        self._looking = self._loop.create_task(self._look())

    async def _close(self) -> None:
        self._looking.cancel()
        await asyncio.wait({self._looking})
        await self._store.close()

    def _begin(self, job: Job, live: _Live) -> None:
        live.task = self._loop.create_task(self._run(job, live))

    def _cancel(self, run: str) -> None:
        live = self._lives.get(run)
        if live is not None and live.task is not None:
            live.task.cancel()

    async def _run(self, job: Job, live: _Live) -> None:
        def on_event(event: Event) -> None:
            if event.kind == "run" and not live.begun.done():
                live.begun.set_result(None)

        try:
            await start(
                job.manifest, self._store, job.name, job.part,
                parameters=job.parameters, inputs=job.inputs, resume=job.resume, on_event=on_event,
                engine=partial(execute, served_as=job.run),
            )  # fmt: skip
        except BaseException as error:  # noqa: BLE001 - the caller's where the run did not begin, else on its record
            if not live.begun.done():
                cancelled = isinstance(error, asyncio.CancelledError)
                live.begun.set_exception(Problem(503, "the run was cancelled before it began") if cancelled else error)
            elif not isinstance(error, asyncio.CancelledError):
                _LOG.error("run %s broke off", job.run, exc_info=error)
        finally:
            self._lives.pop(job.run, None)
            live.over.set_result(None)

    async def _look(self) -> None:
        """Cancels what other processes on the store ask to be cancelled."""
        while True:
            await asyncio.sleep(_LOOK)
            if not self._lives:
                continue
            try:
                for asked in await self._store.get_many(CANCELS, self.running):
                    self._cancel(asked.id)
                    await self._store.delete(CANCELS, asked.id)
            except StoreError as error:
                _LOG.warning("the store can't be asked which runs are to be cancelled: %s", error)

    async def _give_up(self, run: str) -> None:
        """Records a run as cancelled that goes on."""
        with contextlib.suppress(StoreError):  # it shows as crashed once this process is gone
            found = await self._outer.get(RUNS, run)
            if found is not None and found.data["state"] == State.RUNNING.value:
                over = dataclasses.replace(RunRecord.of(found), state=State.CANCELLED, finished=now())
                await self._outer.upsert_many(RUNS, [Record(over.id, over.data(), run=over.id)])


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The app has a runner from its start to its end."""
    context = app.state.context
    if context.project is not None:
        add_to_path(context.project.root)
    runner = Runner(context.store, limit=context.settings.runs)
    await runner.start()
    app.state.context = dataclasses.replace(context, runner=runner)
    try:
        yield
    finally:
        await runner.stop()
