"""Running the steps of a run: each as soon as those that it waits for are done."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

from pulpo.compile.flow import Step
from pulpo.errors import PulpoError
from pulpo.run.board import Board, Live
from pulpo.run.codec import Codec
from pulpo.run.events import Listener
from pulpo.run.failure import explain
from pulpo.run.inputs import Search, Slot
from pulpo.run.intake import Given, NothingComesError
from pulpo.run.perform import Performer, Result
from pulpo.run.prepare import ReadyStep
from pulpo.run.record import State
from pulpo.run.reuse import Reused
from pulpo.run.storing import Finished
from pulpo.run.threads import Threads, default_size
from pulpo.run.writer import Writer
from pulpo.store.base import Store

#: Seconds that cancelled operations have to end.
GRACE = 5.0


class Steps:
    """The steps of one run; `board` has where they stand."""

    def __init__(
        self,
        board: Board,
        ready: Mapping[str, ReadyStep],
        reused: Mapping[str, Reused],
        *,
        run: str,
        store: Store,
        codecs: Mapping[str, Codec],
        search: Search,
        given: Mapping[Slot, Given],
        on_event: Listener | None,
    ) -> None:
        self.board = board
        self._ready = ready
        self._reused = reused
        self._codecs = codecs
        self._reading = _reading([live.step for live in self.board.lives.values()])
        self._over = asyncio.get_running_loop().create_future()
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer = Writer(store, run, self.board)
        self._threads = Threads(default_size())
        self._performer = Performer(store, codecs, search, given, self._threads, run, on_event)

    async def run(self) -> None:
        """Does all steps; returns when everything is stored.

        Raises:
            StoreError: The history can't be written.
            asyncio.CancelledError: The task was cancelled; what was not done is stored as cancelled.
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
        first = [live for name, live in self.board.lives.items() if live.waits == 0 and name not in self._reused]
        for name, reused in self._reused.items():
            self._conclude(self.board.lives[name], Result(reused.made, reused_from=reused.run))
        if self._reused:
            await self._writer.drain()  # from here on this run can be resumed as well as the one that it resumes
        for name in self._reused:
            self._settle(self.board.lives[name])
        for live in first:
            if not self._begin(live):
                self._settle(live)
        if not self.board.lives:
            self._over.set_result(None)

    def _begin(self, live: Live) -> bool:
        """Starts a step of which all that it waits for is done; False where it is skipped instead."""
        if self._stopping:
            return True
        if live.blocked_by:
            self._skip(live, f"skipped: {live.blocked_by} did not complete", tolerated=False)
            return False
        task = asyncio.get_running_loop().create_task(self._carry_out(live))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _carry_out(self, live: Live) -> None:
        live.begin()
        self._writer.changed(live.step.operation)
        try:
            self.board.tell(live, "started")
            await self._perform(live)
            self._settle(live)
        except asyncio.CancelledError:
            live.end(State.CANCELLED)
            raise
        except BaseException as error:  # noqa: BLE001 - a fault of the engine's own ends the run, whatever it is
            if not self._over.done():
                self._over.set_exception(error)

    async def _perform(self, live: Live) -> None:
        if live.step.operation in self._reading:
            await self._writer.drain()
        result = None
        try:
            if live.blocked_by is None:
                result = await self._performer.perform(self._ready[live.step.operation], self.board.made_by)
        except NothingComesError as nothing:
            self._skip(live, f"skipped: {nothing}", tolerated=True)
            return
        except PulpoError as error:
            result = Result([], error=error, failed=True)
        if live.blocked_by or result is None:
            self._skip(live, f"skipped: {live.blocked_by} did not complete", tolerated=False)
        else:
            self._conclude(live, result)

    def _conclude(self, live: Live, result: Result) -> None:
        state = State.FAILED if result.failed else State.REUSED if result.reused_from else State.COMPLETED
        made, result.made = result.made, []
        live.result = result
        live.outputs = tuple(len(part.ids) for part in made)
        for part in made:
            live.made_counts[part.model] = live.made_counts.get(part.model, 0) + len(part.ids)
        live.end(state, explain(result.error) if result.error else None)
        live.tolerated = result.failed and live.step.settings.on_error == "skip"
        live.made = None if result.failed else made
        self._writer.finish(Finished(live.step.operation, made, [self._codecs[part.model].collection for part in made]))
        self.board.tell(live, "finished")

    def _skip(self, live: Live, reason: str, *, tolerated: bool) -> None:
        live.end(State.SKIPPED, reason)
        live.tolerated = tolerated
        self._writer.changed(live.step.operation)
        self.board.tell(live, "finished")

    def _settle(self, live: Live) -> None:
        """A step is over: what waited for it alone starts."""
        queue = deque([live])
        while queue:
            for ready in self.board.settle(queue.popleft()):
                if ready.step.operation not in self._reused and not self._begin(ready):
                    queue.append(ready)
        if self.board.open == 0 and not self._over.done():
            self._over.set_result(None)

    async def _cancel(self) -> None:
        """Stops what runs, and stores what did not end as cancelled."""
        self._stopping = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)
        for live in self.board.lives.values():
            if live.state in (State.PENDING, State.RUNNING, State.CANCELLED):
                live.end(State.CANCELLED)
                self._writer.changed(live.step.operation)
        if not self._writer.task.done():
            await self._writer.close()


def _reading(steps: Sequence[Step]) -> frozenset[str]:
    """The operations that read from the store what steps of the run wrote there."""
    written = {model for step in steps for model in step.models_out}
    return frozenset(
        step.operation
        for step in steps
        if step.models_in or any(argument.from_outside and argument.model in written for argument in step.arguments)
    )
