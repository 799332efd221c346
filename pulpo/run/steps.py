"""The steps of a run that goes on: which can start, which are done, and what each one hands to the next."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from pulpo.compile.flow import FlowDefinition, Step
from pulpo.errors import PulpoError
from pulpo.run.batch import Made
from pulpo.run.codec import Codec
from pulpo.run.events import Event, Listener
from pulpo.run.failure import explain
from pulpo.run.inputs import Search, Slot
from pulpo.run.intake import Given, NothingComesError
from pulpo.run.perform import Performer, Result
from pulpo.run.prepare import ReadyStep
from pulpo.run.record import Counts, State, StepRecord
from pulpo.run.reuse import Reused
from pulpo.run.selection import dependents
from pulpo.run.storing import Finished, Outcome
from pulpo.run.threads import Threads, default_size
from pulpo.run.writer import Writer
from pulpo.store.base import Store, Written
from pulpo.store.values import now

#: Seconds that cancelled operations have to end.
GRACE = 5.0

_NOTHING_WRITTEN = Written()
_NO_RESULT = Result([])


@dataclass(slots=True, eq=False)
class _Live:
    """A step as it stands."""

    step: Step
    #: How many of the steps that it waits for are not done, and how many that wait for it.
    waits: int
    waiting: int
    state: State = State.PENDING
    started: dt.datetime | None = None
    finished: dt.datetime | None = None
    #: How it went, without what it made.
    result: Result = _NO_RESULT
    #: Records that it made, and what became of them in the store, by model.
    made_counts: dict[str, int] = field(default_factory=dict)
    outputs: tuple[int, ...] = ()
    written: Mapping[str, Written] = field(default_factory=dict)
    error: str | None = None
    #: A step that it waits for and that did not complete, so that it can't run.
    blocked_by: str | None = None
    #: What it made, until nobody needs it any more; None where it contributes nothing.
    made: list[Made] | None = None
    #: It failed or was skipped, and the run goes on as if it were not there.
    tolerated: bool = False

    @property
    def blocks(self) -> bool:
        """Whether what waits for it can't run."""
        return self.state in (State.FAILED, State.SKIPPED, State.CANCELLED) and not self.tolerated

    def end(self, state: State, error: str | None = None) -> None:
        """The step is over."""
        self.state, self.error, self.finished = state, error, now()

    def snapshot(self) -> StepRecord:
        """How it stands, to be stored."""
        result = self.result
        return StepRecord(
            self.step.operation,
            self.step.entrypoint,
            self.state,
            self.started,
            self.finished,
            result.attempts,
            self._counts(),
            self.outputs,
            result.failures,
            self.error,
            result.cache_key,
            result.reused_from,
        )

    def _counts(self) -> dict[str, Counts]:
        counts = {}
        for model in sorted({*self.result.taken, *self.made_counts}):
            written = self.written.get(model, _NOTHING_WRITTEN)
            counts[model] = Counts(
                self.result.taken.get(model, 0),
                self.made_counts.get(model, 0),
                written.inserted,
                written.updated,
                written.unchanged,
            )
        return counts


class Steps:
    """The steps of one run."""

    def __init__(
        self,
        flow: FlowDefinition,
        ready: Mapping[str, ReadyStep],
        reused: Mapping[str, Reused],
        *,
        run: str,
        store: Store,
        codecs: Mapping[str, Codec],
        search: Search,
        given: Mapping[Slot, Given],
        on_event: Listener,
    ) -> None:
        self._run = run
        self._ready = ready
        self._reused = reused
        self._codecs = codecs
        self._on_event = on_event
        steps = {step.operation: step for step in flow.steps()}
        self._dependents = dependents(steps)
        self._lives = {name: _Live(step, len(step.after), len(self._dependents[name])) for name, step in steps.items()}
        self._written = {model for step in steps.values() for model in step.models_out}
        self._open = len(steps)
        self._over = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer = Writer(store, run, self)
        self._threads = Threads(default_size())
        self._performer = Performer(store, codecs, search, given, self._threads, run, on_event)

    def records(self) -> tuple[StepRecord, ...]:
        """How the steps stand, in the order of the flow."""
        return tuple(live.snapshot() for live in self._lives.values())

    def snapshot(self, operation: str) -> StepRecord:
        """How one step stands."""
        return self._lives[operation].snapshot()

    def stored(self, operation: str, outcome: Outcome) -> None:
        """Takes note of what became of a step's records; one whose records can't be stored has failed."""
        live = self._lives[operation]
        if not isinstance(outcome, Exception):
            live.written = outcome
            return
        live.state, live.tolerated = State.FAILED, False
        live.error = f"what it made can't be stored: {explain(outcome)}"
        for name in self._dependents[operation]:
            self._lives[name].blocked_by = operation
        self._tell(live, "finished")

    def errors(self) -> list[str]:
        """What went wrong, but for what is tolerated, in the order of the flow."""
        failed = (live for live in self._lives.values() if live.state is State.FAILED and not live.tolerated)
        return [f"{live.step.operation}: {live.error}" for live in failed]

    async def run(self) -> None:
        """Does all steps; returns when everything is stored.

        Raises:
            StoreError: the history can't be written.
            asyncio.CancelledError: the task was cancelled; what was not done is stored as cancelled.
        """
        try:
            await self._start()
            await asyncio.wait({self._over, self._writer.task}, return_when=asyncio.FIRST_COMPLETED)
            if self._over.done():
                self._over.result()
            await self._writer.close()
        except BaseException:
            await self._cancel()
            raise
        finally:
            self._threads.close()

    async def _start(self) -> None:
        first = [live for name, live in self._lives.items() if live.waits == 0 and name not in self._reused]
        for name, reused in self._reused.items():
            self._conclude(self._lives[name], Result(reused.made, reused_from=reused.run))
        if self._reused:
            await self._writer.drain()  # from here on this run can be resumed as well as the one that it resumes
        for name in self._reused:
            self._settle(self._lives[name])
        for live in first:
            if not self._begin(live):
                self._settle(live)
        if not self._lives:
            self._over.set_result(None)

    def _begin(self, live: _Live) -> bool:
        """Starts a step of which all that it waits for is done; False where it is skipped instead."""
        if live.blocked_by:
            self._skip(live, f"skipped: {live.blocked_by} did not complete", tolerated=False)
            return False
        task = asyncio.get_running_loop().create_task(self._carry_out(live))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _carry_out(self, live: _Live) -> None:
        live.state, live.started = State.RUNNING, now()
        self._writer.changed(live.step.operation)
        self._tell(live, "started")
        try:
            await self._perform(live)
        except asyncio.CancelledError:
            live.end(State.CANCELLED)
            raise
        except BaseException as error:  # noqa: BLE001  a fault of the engine's own ends the run, whatever it is
            if not self._over.done():
                self._over.set_exception(error)
            return
        self._settle(live)

    async def _perform(self, live: _Live) -> None:
        if live.step.models_in or any(a.from_outside and a.model in self._written for a in live.step.arguments):
            await self._writer.drain()
        result = None
        try:
            if live.blocked_by is None:
                result = await self._performer.perform(self._ready[live.step.operation], lambda name: self._lives[name].made)
        except NothingComesError as nothing:
            self._skip(live, f"skipped: {nothing}", tolerated=True)
            return
        except PulpoError as error:
            result = Result([], error=error, failed=True)
        if live.blocked_by or result is None:
            self._skip(live, f"skipped: {live.blocked_by} did not complete", tolerated=False)
        else:
            self._conclude(live, result)

    def _conclude(self, live: _Live, result: Result) -> None:
        state = State.FAILED if result.failed else State.REUSED if result.reused_from else State.COMPLETED
        live.result = dataclasses.replace(result, made=[])
        live.outputs = tuple(len(made.ids) for made in result.made)
        for made in result.made:
            live.made_counts[made.model] = live.made_counts.get(made.model, 0) + len(made.ids)
        live.end(state, explain(result.error) if result.error else None)
        live.tolerated = result.failed and live.step.settings.on_error == "skip"
        live.made = None if result.failed else result.made
        collections = [self._codecs[made.model].collection for made in result.made]
        self._writer.finish(Finished(live.step.operation, result.made, collections))
        self._tell(live, "finished")

    def _skip(self, live: _Live, reason: str, *, tolerated: bool) -> None:
        live.end(State.SKIPPED, reason)
        live.tolerated = tolerated
        self._writer.changed(live.step.operation)
        self._tell(live, "finished")

    def _settle(self, live: _Live) -> None:
        """A step is done: what waited for it alone starts, and what it took is let go."""
        queue = deque([live])
        while queue:
            done = queue.popleft()
            self._open -= 1
            for name in done.step.after:
                source = self._lives[name]
                source.waiting -= 1
                if source.waiting == 0:
                    source.made = None
            operation, blocks = done.step.operation, done.blocks
            for name in self._dependents[operation]:
                dependent = self._lives[name]
                if blocks:
                    dependent.blocked_by = operation
                dependent.waits -= 1
                if dependent.waits == 0 and name not in self._reused and not self._begin(dependent):
                    queue.append(dependent)
        if self._open == 0 and not self._over.done():
            self._over.set_result(None)

    async def _cancel(self) -> None:
        """Stops what runs, and stores what did not end as cancelled."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)
        for live in self._lives.values():
            if live.state in (State.PENDING, State.RUNNING, State.CANCELLED):
                live.end(State.CANCELLED)
                self._writer.changed(live.step.operation)
        if not self._writer.task.done():
            await self._writer.close()

    def _tell(self, live: _Live, kind: str) -> None:
        message = live.state.value if kind == "finished" else ""
        self._on_event(Event(kind, self._run, live.step.operation, message))  # type: ignore[arg-type]
