"""Calling an operation once per record: several workers take records from one iterator, results stay in input order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from pulpo.run.batch import Made
from pulpo.run.call import Caller, Outcome, Values
from pulpo.run.intake import Inlet, Intake
from pulpo.run.outputs import Call, Outlet
from pulpo.run.threads import Threads, default_size

#: Calls of an async operation that run at the same time where `concurrency` is unset.
ASYNC_CALLS = 32

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
    failures: int = 0
    #: Of the failed calls' errors that of the first record.
    error: BaseException | None = None
    attempts: int = 0
    _failed_index: int = 0
    _done: int = 0
    _shared: dict[str, object] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.records = self.inlet.records()
        self.made = [None] * len(self.records)

    async def run(self, make_caller: Callable[[Threads], Caller]) -> None:
        """Makes all calls. Unless failures are tolerated the first one stops the rest."""
        settings, is_async = self.intake.step.settings, self.intake.step.is_async
        workers = min(settings.concurrency or (ASYNC_CALLS if is_async else default_size()), len(self.records))
        threads = Threads(max(1, workers))
        caller = make_caller(threads)
        self._shared = self.intake.values()
        pending = iter(range(len(self.records)))
        try:
            if is_async or settings.timeout is not None:
                await self._run_on_loop(caller, pending, workers)
            else:
                await asyncio.gather(*(threads.call(lambda: self._work_here(caller, pending)) for _ in range(workers)))
        finally:
            caller.stop.set()
            threads.close()

    async def _run_on_loop(self, caller: Caller, pending: Iterator[int], workers: int) -> None:
        async def work() -> None:
            for index in pending:
                outcome = await caller.call(partial(self._values, index), partial(self._receive, index=index))
                self._keep(index, outcome, caller)
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
        return {**self._shared, self.inlet.argument.name: self.inlet.one(self.records[index])}

    def _receive(self, value: object, index: int) -> list[Made]:
        return self.outlet.receive(value, Call(index, len(self.records)))

    def _keep(self, index: int, outcome: Outcome, caller: Caller) -> None:
        total = len(self.records)
        with self._lock:
            self._done += 1
            done = self._done
            self.attempts = max(self.attempts, outcome.attempts)
            if outcome.error is None:
                self.made[index] = outcome.value
            else:
                if not self.failures or index < self._failed_index:
                    self.error, self._failed_index = outcome.error, index
                self.failures += 1
        if outcome.error is not None and not self.tolerant:
            caller.stop.set()
        if done % max(1, total // 100) == 0 or done == total:
            self.on_progress(done, total)


class _StoppedError(Exception):
    """A call failed, so the others are not needed any more."""
