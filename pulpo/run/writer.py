"""Writing a run down while it goes on, behind its back: what is finished is collected and stored in few, large writes.

One flush stores the records that finished steps made, then the lists of their ids, then the states of the steps: a step that
the history calls completed has all of its records. Flushes follow one another in the order in which steps finished.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from pulpo.run.logs import RunLog
from pulpo.run.record import CACHE, LOGS, OUTPUTS, STEPS, State, StepRecord, output_records, step_id
from pulpo.run.storing import BATCH, Finished, Outcome, store_made, upsert
from pulpo.store.base import Record, Store

#: Seconds that what is finished waits for more before it is stored.
LINGER = 0.1

#: Rows that wait to be stored, above which steps wait before they make more.
ROOM = 50_000


class Ledger(Protocol):
    """Who knows the steps."""

    def snapshot(self, operation: str) -> StepRecord:
        """How the step stands."""
        ...

    def stored(self, operation: str, outcome: Outcome) -> None:
        """What the operation made was stored, or could not be: from now on its snapshot says so."""
        ...


class Writer:
    """Stores in the background what it is told. `task` ends early only when the history itself can't be written."""

    def __init__(self, store: Store, run: str, ledger: Ledger) -> None:
        self._store = store
        self._run = run
        self._ledger = ledger
        self._finished: list[Finished] = []
        self._rows = 0
        #: Rows that a flush is storing.
        self._leaving = 0
        self._changed: dict[str, None] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._some = asyncio.Event()
        self._now = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        #: What operations log, from any thread; stored with the rest.
        self.log = RunLog(run, self._wake)
        self.task = self._loop.create_task(self._work())

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the run is over
            self._loop.call_soon_threadsafe(self._some.set)

    def changed(self, operation: str) -> None:
        """A step changed its state; of several changes before a flush only the last is stored."""
        self._changed[operation] = None
        self._some.set()

    def finish(self, finished: Finished) -> None:
        """A step is done."""
        self._finished.append(finished)
        self._changed.pop(finished.operation, None)
        self._rows += sum(len(made.rows) for made in finished.made)
        if self._rows >= BATCH:
            self._now.set()
        self._some.set()

    async def has_room(self) -> None:
        """Waits while too much is waiting to be stored. Raises as `drain`."""
        while self._rows + self._leaving > ROOM:
            await self.drain()

    async def drain(self) -> None:
        """Waits until everything told so far is stored.

        Raises:
            StoreError: The history can't be written.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._some.set()
        self._now.set()
        await asyncio.wait({done, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if self.task.done():
            self.task.result()

    async def close(self) -> None:
        """Stores what is left, and ends. Raises as `drain`."""
        await self.drain()  # also waits for a flush that is under way
        while self._finished or self._changed or self.log:
            await self.drain()
        if rest := self.log.rest():
            await upsert(self._store, LOGS, rest)
        self.task.cancel()
        await asyncio.wait({self.task})
        if not self.task.cancelled():
            self.task.result()

    async def _work(self) -> None:
        while True:
            await self._some.wait()
            await self._linger()
            self._some.clear()
            self._now.clear()
            waiting, self._waiting = self._waiting, []
            await self._flush()
            for done in waiting:
                if not done.done():
                    done.set_result(None)

    async def _linger(self) -> None:
        timer = asyncio.get_running_loop().call_later(LINGER, self._now.set)
        await self._now.wait()
        timer.cancel()

    async def _flush(self) -> None:
        finished, self._finished = self._finished, []
        self._leaving, self._rows = self._rows, 0
        changed, self._changed = self._changed, {}
        outputs: list[Record] = []
        if lines := self.log.take():
            await upsert(self._store, LOGS, lines)
        outcomes = await store_made(self._store, finished)
        for item in finished:
            outcome = outcomes[item.operation]
            self._ledger.stored(item.operation, outcome)
            if isinstance(outcome, Exception):
                continue
            for position, made in enumerate(item.made):
                made.rows = []  # whoever takes the records needs no rows
                outputs += output_records(self._run, item.operation, position, made.model, made.ids)
        self._leaving = 0
        if outputs:
            await upsert(self._store, OUTPUTS, outputs)
        later = {item.operation for item in self._finished}  # done by now, but their records are not stored yet
        names = [*outcomes, *(name for name in changed if name not in later)]
        steps = [self._ledger.snapshot(name) for name in names]
        await upsert(
            self._store, STEPS, [Record(step_id(self._run, s.operation), s.data(self._run), run=self._run) for s in steps]
        )
        cached = [s for s in steps if s.cache_key and s.state is State.COMPLETED]
        if cached:
            rows = [Record(str(s.cache_key), {"run": self._run, "finished": s.finished}, run=self._run) for s in cached]
            await upsert(self._store, CACHE, rows)
