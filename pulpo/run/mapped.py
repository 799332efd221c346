"""Calling an operation once per record: several workers take records from one iterator, results stay in input order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from pulpo.errors import RunError
from pulpo.run.batch import Made
from pulpo.run.call import Caller, Calling, Outcome, Values
from pulpo.run.culprit import culprits
from pulpo.run.failure import describe, explain
from pulpo.run.intake import Inlet, Intake
from pulpo.run.outputs import Call, Outlet
from pulpo.run.record import Culprit
from pulpo.run.threads import Threads, default_size

#: Calls of an async operation that run at the same time where `concurrency` is unset.
ASYNC_CALLS = 32

#: Failed calls beside the first that an error tells of.
_TOLD = 9

#: Told how many calls are done, from any thread.
OnProgress = Callable[[int, int], None]


@dataclass(slots=True, eq=False)
class Calls:
    """The calls of one mapped step, and what came of them."""

    outlet: Outlet
    intake: Intake
    inlet: Inlet
    tolerant: bool
    on_progress: OnProgress
    records: list[object] = field(default_factory=list)
    #: What each call made, in input order; None where it failed.
    made: list[list[Made] | None] = field(default_factory=list)
    #: The errors of the calls that failed, by the index of the record.
    failed: dict[int, BaseException] = field(default_factory=dict)
    attempts: int = 0
    _done: int = 0
    _shared: dict[str, object] = field(default_factory=dict)
    #: The records for which a call was tried, where it may be tried again.
    _begun: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.records = self.inlet.records()
        self.made = [None] * len(self.records)

    @property
    def error(self) -> BaseException | None:
        """Of the failed calls' errors that of the first record."""
        return self.failed[min(self.failed)] if self.failed else None

    def explanation(self) -> str | None:
        """What went wrong with which record: of the first one all, where failures are tolerated a line of some others too."""
        if not self.failed:
            return None
        first, *others = sorted(self.failed)
        lines = [explain(self.failed[first], self._named(first))]
        if self.tolerant:
            lines += [_line(self.failed[index], self._named(index)) for index in others[:_TOLD]]
            lines += [f"… and {len(others) - _TOLD} more"] if len(others) > _TOLD else []
        return "\n".join(lines)

    def culprits(self) -> tuple[Culprit, ...]:
        """What the first calls that failed failed on."""
        ids = self.inlet.ids() if self.failed else []
        return culprits([(self.failed[index], self.inlet, ids[index]) for index in sorted(self.failed)[: _TOLD + 1]])

    def _named(self, index: int) -> str:
        if isinstance(self.failed[index], RunError):  # it says already which record it is about
            return ""
        key = self.inlet.codec.named(self.records[index])
        return ", ".join(filter(None, [f"record {index + 1} of {len(self.records)}", key]))

    async def run(self, make_caller: Callable[[Threads], Calling]) -> None:
        """Makes all calls. Unless failures are tolerated the first one stops the rest."""
        settings, is_async = self.intake.step.settings, self.intake.step.is_async
        workers = min(settings.concurrency or (ASYNC_CALLS if is_async else default_size()), len(self.records))
        threads = Threads(max(1, workers))
        caller = make_caller(threads)
        if caller.at_once is not None and settings.concurrency is None:
            workers = min(caller.at_once, len(self.records))
        self._shared = self.intake.values()
        await caller.on_begin()
        pending = iter(range(len(self.records)))
        try:
            if isinstance(caller, Caller) and not caller.on_loop:
                await asyncio.gather(*(threads.call(partial(self._work_here, caller, pending)) for _ in range(workers)))
            else:
                await self._run_on_loop(caller, pending, workers)
        finally:
            caller.stop.set()
            threads.close()
        if self._done < len(self.records) and (self.tolerant or self.error is None):
            raise asyncio.CancelledError("somebody cancelled the tasks of its calls")

    async def _run_on_loop(self, caller: Calling, pending: Iterator[int], workers: int) -> None:
        async def work() -> None:
            for index in pending:
                try:
                    outcome = await caller.call(partial(self._values, index), partial(self._receive, index=index))
                    self._keep(index, outcome, caller)
                except BaseException:
                    caller.stop.set()  # else the others would take being cancelled for a failure of their own
                    raise
                if caller.stop.is_set():
                    raise _StoppedError

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(work())
        except* _StoppedError:
            pass

    def _work_here(self, caller: Caller, pending: Iterator[int]) -> None:
        for index in pending:
            if caller.stop.is_set():
                return
            outcome = caller.call_here(partial(self._values, index), partial(self._receive, index=index))
            self._keep(index, outcome, caller)

    def _values(self, index: int) -> Values:
        shared = self.intake.values() if index in self._begun else self._shared  # a try that failed may have changed it
        if self.intake.step.settings.retries:
            self._begun.add(index)
        return {**shared, self.inlet.argument.name: self.inlet.one(self.records[index])}

    def _receive(self, value: object, index: int) -> list[Made]:
        return self.outlet.receive(value, Call(index, len(self.records)))

    def _keep(self, index: int, outcome: Outcome, caller: Calling) -> None:
        total = len(self.records)
        with self._lock:
            self._done += 1
            done = self._done
            self.attempts = max(self.attempts, outcome.attempts)
            if outcome.error is None:
                self.made[index] = outcome.value
            else:
                self.failed[index] = outcome.error
        if outcome.error is not None and not self.tolerant:
            caller.stop.set()
        if done % max(1, total // 100) == 0 or done == total:
            self.on_progress(done, total)


def _line(error: BaseException, where: str) -> str:
    told = describe(error).partition("\n")[0]
    return f"{told} ({where})" if where else told


class _StoppedError(Exception):
    """A call failed, so the others are not needed any more."""
