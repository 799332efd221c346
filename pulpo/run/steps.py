"""Running the steps of a run: each as soon as those that it waits for are done."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping, Sequence

from pulpo.compile.flow import Step
from pulpo.errors import PulpoError
from pulpo.run.board import Board, Live
from pulpo.run.call import Caller, Calling, forget_cancellation
from pulpo.run.codec import Codec
from pulpo.run.culprit import culprits_of
from pulpo.run.events import Listener
from pulpo.run.failure import explain
from pulpo.run.inputs import Search, Slot
from pulpo.run.intake import Given, NothingComesError
from pulpo.run.logs import capturing, logging_to
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

#: Threads that check what large outputs of async operations hold.
CHECKING = 2


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
        self._ending = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer = Writer(store, run, self.board)
        self._threads = Threads(default_size())
        self._checking = Threads(CHECKING)
        self._performer = Performer(
            store, codecs, search, given, self._threads, self._checking, self._ending, run, on_event, self._through
        )

    async def run(self) -> None:
        """Does all steps; returns when everything is stored.

        Raises:
            StoreError: The history can't be written.
            asyncio.CancelledError: The task was cancelled; what was not done is stored as cancelled.
        """
        with capturing():
            try:
                await self._start()
                await self._go_on()
                await self._writer.close()
            except BaseException:
                await self._cancel()
                raise
            finally:
                self._threads.close()
                self._checking.close()

    async def _go_on(self) -> None:
        """Returns when all steps are over, or the history can't be written."""
        await asyncio.wait({self._over, self._writer.task}, return_when=asyncio.FIRST_COMPLETED)
        if self._over.done():
            self._over.result()

    def _through(self, caller: Caller) -> Calling:
        return caller

    async def _start(self) -> None:
        first = [live for name, live in self.board.lives.items() if live.waits == 0 and name not in self._reused]
        for name, reused in self._reused.items():
            if reused.skipped:
                self._skip(self.board.lives[name], reused.skipped, tolerated=True)
            else:
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
        if self._ending.is_set():
            return True
        if live.blocked_by:
            self._skip(live, f"skipped: {live.blocked_by} did not complete", tolerated=False)
            return False
        task = asyncio.get_running_loop().create_task(self._carry_out(live))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._ended(task, live))
        return True

    async def _carry_out(self, live: Live) -> None:
        try:
            with logging_to(self._writer.log, live.step.operation):
                await self._perform(live)
            self._settle(live)
        except asyncio.CancelledError as error:
            if self._ending.is_set():
                live.end(State.CANCELLED)
                raise
            forget_cancellation()
            self._give_up(live, error)
        except BaseException as error:  # noqa: BLE001 - a fault of the engine's own ends the run, whatever it is
            self._break_off(error)

    def _ended(self, task: asyncio.Task[None], live: Live) -> None:
        self._tasks.discard(task)
        if task.cancelled() and not self._ending.is_set():  # by user code, which can find every task, before it began
            self._give_up(live, asyncio.CancelledError("somebody cancelled its task"))

    def _give_up(self, live: Live, error: asyncio.CancelledError) -> None:
        """Somebody else than the engine cancelled the step's task: the step failed, if it was not over."""
        if live.state not in (State.PENDING, State.RUNNING):
            return
        try:
            self._conclude(live, Result([], error=error, failed=True))
            self._settle(live)
        except BaseException as fault:  # noqa: BLE001 - as in `_carry_out`
            self._break_off(fault)

    def _break_off(self, error: BaseException) -> None:
        if not self._over.done():
            self._over.set_exception(error)

    async def _perform(self, live: Live) -> None:
        if live.step.operation in self._reading:
            await self._writer.drain()
        result = None
        try:
            if live.blocked_by is None:
                result = await self._performer.perform(
                    self._ready[live.step.operation], self.board.made_by, lambda: self._call_begins(live)
                )
        except NothingComesError as nothing:
            self._skip(live, f"skipped: {nothing}", tolerated=True)
            return
        except PulpoError as error:
            result = Result([], error=error, failed=True, culprits=culprits_of(error))
        if live.blocked_by or result is None:
            self._skip(live, f"skipped: {live.blocked_by} did not complete", tolerated=False)
        else:
            self._conclude(live, result)

    async def _call_begins(self, live: Live) -> None:
        try:
            await self._writer.has_room()
            if live.state is State.PENDING:
                self._begun(live)
        except Exception as error:  # who awaits this would take it for the operation's
            self._break_off(error)
            raise

    def _begun(self, live: Live) -> None:
        live.begin()
        self._writer.changed(live.step.operation)
        self.board.tell(live, "started")

    def _conclude(self, live: Live, result: Result) -> None:
        operation = live.step.operation
        if live.started is None and operation not in self._reused:
            self._begun(live)
        state = State.FAILED if result.failed else State.REUSED if result.reused_from else State.COMPLETED
        made, result.made = result.made, []
        live.result = result
        live.outputs = tuple(len(part.ids) for part in made)
        for part in made:
            live.made_counts[part.model] = live.made_counts.get(part.model, 0) + len(part.ids)
        live.end(state, result.explanation or (explain(result.error) if result.error else None))
        live.tolerated = result.failed and live.step.settings.on_error == "skip"
        live.made = None if result.failed or not live.takers else made
        self._writer.finish(Finished(operation, made, [self._codecs[part.model].collection for part in made]))
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
        self._ending.set()
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
