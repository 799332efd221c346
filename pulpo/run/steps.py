"""The steps of a run that goes on: which can start, which are done, and what each one hands to the next."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

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
from pulpo.run.storing import Finished
from pulpo.run.threads import Threads, default_size
from pulpo.run.writer import Writer
from pulpo.store.base import Store
from pulpo.store.values import now

#: Seconds that cancelled operations have to end.
GRACE = 5.0


@dataclass(slots=True, eq=False)
class _Live:
    """A step as it stands."""

    step: Step
    record: StepRecord
    #: How many of the steps that it waits for are not done, and how many that wait for it.
    waits: int
    waiting: int
    #: What it made, until nobody needs it any more; None where it contributes nothing.
    made: list[Made] | None = None
    #: It failed or was skipped, and the run goes on as if it were not there.
    tolerated: bool = False

    @property
    def blocks(self) -> bool:
        """Whether what waits for it can't run."""
        return self.record.state in (State.FAILED, State.SKIPPED, State.CANCELLED) and not self.tolerated


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
        self._lives = {
            name: _Live(step, StepRecord(name, step.entrypoint), len(step.after), len(self._dependents[name]))
            for name, step in steps.items()
        }
        self._written = {model for step in steps.values() for model in step.models_out}
        self._open = len(steps)
        self._over = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer = Writer(store, run, self._write_failed)
        self._threads = Threads(default_size())
        self._performer = Performer(store, codecs, search, given, self._threads, run, on_event)

    def records(self) -> tuple[StepRecord, ...]:
        """How the steps stand, in the order of the flow."""
        return tuple(self._writer.stored.get(name, live.record) for name, live in self._lives.items())

    def errors(self) -> list[str]:
        """What went wrong, but for what is tolerated, in the order of the flow."""
        failed = (live for live in self._lives.values() if live.record.state is State.FAILED and not live.tolerated)
        return [f"{live.step.operation}: {live.record.error}" for live in failed]

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
        for name, reused in self._reused.items():
            live = self._lives[name]
            self._conclude(live, Result(reused.made, reused_from=reused.run))
        if self._reused:
            await self._writer.drain()
        first = [live for live in self._lives.values() if live.waits == 0 and live.record.state is State.PENDING]
        for live in first:
            if not self._begin(live):
                self._settle(live)
        if self._open == 0 and not self._over.done():
            self._over.set_result(None)

    def _begin(self, live: _Live) -> bool:
        """Starts a step of which all that it waits for is done; False where it is skipped instead."""
        culprit = self._culprit(live)
        if culprit:
            self._skip(live, f"skipped: {culprit} did not complete", tolerated=False)
            return False
        task = asyncio.get_running_loop().create_task(self._carry_out(live))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def _culprit(self, live: _Live) -> str | None:
        return next((name for name in live.step.after if self._lives[name].blocks), None)

    async def _carry_out(self, live: _Live) -> None:
        live.record = dataclasses.replace(live.record, state=State.RUNNING, started=now())
        self._writer.state(live.record)
        self._tell(live, "started")
        try:
            await self._perform(live)
        except asyncio.CancelledError:
            live.record = dataclasses.replace(live.record, state=State.CANCELLED, finished=now())
            raise
        except BaseException as error:  # noqa: BLE001  a fault of the engine's own ends the run, whatever it is
            if not self._over.done():
                self._over.set_exception(error)
            return
        self._settle(live)

    async def _perform(self, live: _Live) -> None:
        if live.step.models_in or any(a.from_outside and a.model in self._written for a in live.step.arguments):
            await self._writer.drain()
        try:
            if self._culprit(live) is None:
                result = await self._performer.perform(self._ready[live.step.operation], lambda name: self._lives[name].made)
        except NothingComesError as nothing:
            self._skip(live, f"skipped: {nothing}", tolerated=True)
            return
        except PulpoError as error:
            result = Result([], error=error, failed=True)
        culprit = self._culprit(live)
        if culprit:
            self._skip(live, f"skipped: {culprit} did not complete", tolerated=False)
        else:
            self._conclude(live, result)

    def _conclude(self, live: _Live, result: Result) -> None:
        state = State.FAILED if result.failed else State.REUSED if result.reused_from else State.COMPLETED
        counts = {model: Counts(taken=count) for model, count in (result.taken or {}).items()}
        for made in result.made:
            counts[made.model] = dataclasses.replace(
                counts.get(made.model, Counts()),
                made=counts[made.model].made + len(made.ids) if made.model in counts else len(made.ids),
            )
        live.record = dataclasses.replace(
            live.record, state=state, finished=now(), attempts=result.attempts, counts=dict(sorted(counts.items())),
            failures=result.failures, error=explain(result.error) if result.error else None,
            cache_key=result.cache_key, reused_from=result.reused_from,
        )  # fmt: skip
        live.tolerated = result.failed and live.step.settings.on_error == "skip"
        live.made = None if result.failed else result.made
        self._writer.finish(Finished(live.record, result.made, [self._codecs[made.model].collection for made in result.made]))
        self._tell(live, "finished")

    def _skip(self, live: _Live, reason: str, *, tolerated: bool) -> None:
        live.record = dataclasses.replace(live.record, state=State.SKIPPED, finished=now(), error=reason)
        live.tolerated = tolerated
        self._writer.state(live.record)
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
            for name in self._dependents[done.step.operation]:
                dependent = self._lives[name]
                dependent.waits -= 1
                if dependent.waits == 0 and not self._begin(dependent):
                    queue.append(dependent)
        if self._open == 0 and not self._over.done():
            self._over.set_result(None)

    def _write_failed(self, operation: str, error: Exception) -> StepRecord:
        live = self._lives[operation]
        message = f"what it made can't be stored: {explain(error)}"
        live.record = dataclasses.replace(live.record, state=State.FAILED, error=message)
        live.tolerated = False
        self._tell(live, "finished")
        return live.record

    async def _cancel(self) -> None:
        """Stops what runs, and stores what did not end as cancelled."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)
        for live in self._lives.values():
            if live.record.state in (State.PENDING, State.RUNNING, State.CANCELLED):
                live.record = dataclasses.replace(live.record, state=State.CANCELLED, finished=now())
                self._writer.state(live.record)
        if not self._writer.task.done():
            await self._writer.close()

    def _tell(self, live: _Live, kind: str) -> None:
        message = live.record.state.value if kind == "finished" else ""
        self._on_event(Event(kind, self._run, live.step.operation, message))  # type: ignore[arg-type]
