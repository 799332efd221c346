"""Doing one step: its inputs gathered, the function called (or a cached output taken), the outputs checked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pulpo.compile.flow import Argument
from pulpo.manifest.model import Mode
from pulpo.run.batch import Batch, Made
from pulpo.run.call import Caller, Calling, OnBegin
from pulpo.run.codec import Codec
from pulpo.run.culprit import culprits_of
from pulpo.run.events import Event, Listener
from pulpo.run.failure import describe
from pulpo.run.inputs import Search, Slot
from pulpo.run.intake import Given, Inlet, Intake
from pulpo.run.mapped import Calls
from pulpo.run.prepare import ReadyStep
from pulpo.run.record import Culprit
from pulpo.run.reuse import cache_key, of_cache
from pulpo.run.threads import Threads
from pulpo.store.base import Store

#: What a step of the run made; None where it contributes nothing.
Sources = Callable[[str], "list[Made] | None"]


@dataclass(slots=True)
class Result:
    """What came of a step: what it made, or the error that it failed with."""

    made: list[Made]
    attempts: int = 0
    #: Records that came in, by model.
    taken: Mapping[str, int] = field(default_factory=dict)
    #: Calls that failed and were dropped; `error` is then that of the first.
    failures: int = 0
    error: BaseException | None = None
    #: What to say of the error, or of those of several calls, where that is more than the error itself says.
    explanation: str | None = None
    failed: bool = False
    culprits: tuple[Culprit, ...] = ()
    cache_key: str | None = None
    reused_from: str | None = None


@dataclass(frozen=True, slots=True)
class Performer:
    """Does steps of one run."""

    store: Store
    codecs: Mapping[str, Codec]
    search: Search
    #: Inputs from outside, as far as they were loaded before the run began.
    given: Mapping[Slot, Given]
    threads: Threads
    #: For work of the engine's own.
    checking: Threads
    #: Set when the run is cancelled.
    ending: threading.Event
    run: str
    tell: Listener | None
    #: What makes the calls of a step, given who could.
    through: Callable[[Caller], Calling]

    async def perform(self, ready: ReadyStep, sources: Sources, on_begin: OnBegin) -> Result:
        """Does the step; `on_begin` is awaited when a call can begin.

        Raises:
            NothingComesError: A parameter needs a record and there is none.
            PulpoError: Inputs are not what the step can take, or can't be loaded.
        """
        intake = await self._intake(ready, sources)
        intake.check()
        if ready.step.settings.cached:
            return await self._cached(ready, intake, on_begin)
        return await self._call(ready, intake, on_begin)

    async def _intake(self, ready: ReadyStep, sources: Sources) -> Intake:
        step = ready.step
        put_out = {output.model for output in step.outputs}
        again = bool(step.settings.retries)  # a try that failed may have changed what it was given
        inlets = []
        for argument in step.arguments:
            slot = (step.operation, argument.name)
            if argument.sources and argument.mode is not Mode.PREVIOUS:
                given: Given = _from_steps(argument, sources)
            elif slot in self.given:
                given = self.given[slot]
            else:
                given = await self.search.through_the_store(step.operation, argument)
            inlets.append(Inlet(argument, given, self.codecs[argument.model], copied=again or argument.model in put_out))
        return Intake(step, ready.parameters, inlets)

    async def _cached(self, ready: ReadyStep, intake: Intake, on_begin: OnBegin) -> Result:
        key = await self.checking.call(lambda: cache_key(intake))
        found = await of_cache(self.store, ready.step, key, self.codecs)
        if found is not None:
            return Result(found.made, taken=intake.taken(), cache_key=key, reused_from=found.run)
        return await self._call(ready, intake, on_begin, key)

    async def _call(self, ready: ReadyStep, intake: Intake, on_begin: OnBegin, key: str | None = None) -> Result:
        mapped = intake.mapped
        if mapped is not None:
            return await self._map(ready, intake, mapped, on_begin, key)
        outcome = await self._caller(ready, self.threads, on_begin, self.ending).call(intake.values, ready.outlet.receive)
        if outcome.error is not None:
            found = culprits_of(outcome.error, intake)
            return Result([], outcome.attempts, intake.taken(), error=outcome.error, failed=True, culprits=found)
        return Result(outcome.value, outcome.attempts, intake.taken(), cache_key=key)

    async def _map(self, ready: ReadyStep, intake: Intake, mapped: Inlet, on_begin: OnBegin, key: str | None) -> Result:
        tolerant = ready.step.settings.on_error == "skip"
        calls = Calls(ready.outlet, intake, mapped, tolerant, self._on_progress(ready))
        await calls.run(lambda threads: self._caller(ready, threads, on_begin, threading.Event()))
        failed = calls.error is not None and not tolerant
        made = [] if failed else ready.outlet.merged(calls.made)
        return Result(
            made,
            calls.attempts,
            intake.taken(),
            failures=len(calls.failed) if tolerant else 0,
            error=calls.error,
            explanation=calls.explanation(),
            failed=failed,
            culprits=calls.culprits(),
            cache_key=None if calls.failed else key,
        )

    def _caller(self, ready: ReadyStep, threads: Threads, on_begin: OnBegin, stop: threading.Event) -> Calling:
        operation = ready.step.operation

        def on_retry(attempt: int, error: BaseException) -> None:
            self._tell_from_anywhere(Event("retried", self.run, operation, describe(error), attempt=attempt))

        return self.through(Caller(ready.function, threads, self.checking, on_retry, on_begin, stop, self.ending))

    def _on_progress(self, ready: ReadyStep) -> Callable[[int, int], None]:
        def on_progress(done: int, total: int) -> None:
            self._tell_from_anywhere(Event("progress", self.run, ready.step.operation, done=done, total=total))

        return on_progress

    def _tell_from_anywhere(self, event: Event) -> None:
        tell = self.tell
        if tell is not None:
            self.threads.on_loop(lambda: tell(event))


def _from_steps(argument: Argument, sources: Sources) -> dict[str, Batch]:
    given: dict[str, Batch] = {}
    for name in argument.sources:
        made = sources(name)
        if made is None:
            continue
        parts = [part for part in made if part.model == argument.model]
        if len(parts) == 1:
            given[name] = parts[0]
        else:
            given[name] = Batch(
                argument.model, [i for part in parts for i in part.ids], [r for part in parts for r in part.records]
            )
    return given
