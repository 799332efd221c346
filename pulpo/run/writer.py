"""Writing a run down while it goes on, behind its back: what is finished is collected and stored in few, large writes.

One flush stores the records that finished steps made, then the lists of their ids, then the states of the steps: a step that
the history calls completed has all of its records. Flushes follow one another in the order in which steps finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pulpo.run.record import OUTPUTS, STEPS, StepRecord, output_records, step_id
from pulpo.run.storing import BATCH, Finished, store_made, upsert
from pulpo.store.base import Record, Store

#: Seconds that what is finished waits for more before it is stored.
LINGER = 0.05

#: Told that what an operation made could not be stored; gives the state that its step has now.
OnFailure = Callable[[str, Exception], StepRecord]


class Writer:
    """Stores in the background what it is told. `task` ends early only when the history itself can't be written."""

    def __init__(self, store: Store, run: str, on_failure: OnFailure) -> None:
        self._store = store
        self._run = run
        self._on_failure = on_failure
        self._finished: list[Finished] = []
        self._rows = 0
        self._states: dict[str, StepRecord] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._some = asyncio.Event()
        self._now = asyncio.Event()
        #: The states of steps as stored, by operation.
        self.stored: dict[str, StepRecord] = {}
        self.task = asyncio.get_running_loop().create_task(self._work())

    def state(self, step: StepRecord) -> None:
        """A step changed its state; of several changes before a flush only the last is stored."""
        self._states[step.operation] = step
        self._some.set()

    def finish(self, finished: Finished) -> None:
        """A step is done."""
        self._finished.append(finished)
        self._rows += sum(len(made.rows) for made in finished.made)
        if self._rows >= BATCH:
            self._now.set()
        self._some.set()

    async def drain(self) -> None:
        """Waits until everything told so far is stored.

        Raises:
            StoreError: the history can't be written.
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
        while self._finished or self._states:
            await self.drain()
        self.task.cancel()
        await asyncio.wait({self.task})

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
        finished, self._finished, self._rows = self._finished, [], 0
        states, self._states = self._states, {}
        outcomes = await store_made(self._store, finished)
        outputs: list[Record] = []
        for item in finished:
            operation = item.step.operation
            outcome = outcomes[operation]
            if isinstance(outcome, Exception):
                states[operation] = self._on_failure(operation, outcome)
                continue
            states[operation] = outcome
            for position, made in enumerate(item.made):
                outputs += output_records(self._run, operation, position, made.model, made.ids)
        if outputs:
            await upsert(self._store, OUTPUTS, outputs)
        await upsert(
            self._store,
            STEPS,
            [Record(step_id(self._run, name), step.data(self._run), run=self._run) for name, step in states.items()],
        )
        self.stored |= states
