"""Where the steps of a run stand."""

from __future__ import annotations

import datetime as dt
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pulpo.compile.flow import Step
from pulpo.errors import PulpoError
from pulpo.run.batch import Made
from pulpo.run.events import Event, Kind, Listener
from pulpo.run.failure import explain
from pulpo.run.perform import Result
from pulpo.run.record import Counts, State, StepRecord
from pulpo.run.storing import Outcome
from pulpo.store.base import Written
from pulpo.store.values import now

_NOTHING_WRITTEN = Written()


@dataclass(slots=True, eq=False)
class Live:
    """A step as it stands."""

    step: Step
    #: How many of the steps that it waits for are not done, and how many that are not done take records of it.
    waits: int
    takers: int
    state: State = State.PENDING
    started: dt.datetime | None = None
    finished: dt.datetime | None = None
    #: How it went, without what it made.
    result: Result = field(default_factory=lambda: Result([]))
    #: Records that it made, and what became of them in the store, by model.
    made_counts: dict[str, int] = field(default_factory=dict)
    outputs: tuple[int, ...] = ()
    written: Mapping[str, Written] = field(default_factory=dict)
    error: str | None = None
    #: How it stands, once somebody asked, until that changes.
    record: StepRecord | None = None
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

    def begin(self) -> None:
        """The step runs."""
        self.state, self.started, self.record = State.RUNNING, now(), None

    def end(self, state: State, error: str | None = None) -> None:
        """The step is over."""
        self.state, self.error, self.finished, self.record = state, error, now(), None

    def snapshot(self) -> StepRecord:
        """How it stands, to be stored."""
        if self.record is None:
            self.record = self._snapshot()
        return self.record

    def _snapshot(self) -> StepRecord:
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
            result.culprits,
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


class Board:
    """All steps of a run, in the order of the flow."""

    def __init__(self, in_order: Sequence[Step], run: str, on_event: Listener | None) -> None:
        self._run = run
        self._on_event = on_event
        steps = {step.operation: step for step in in_order}
        self._dependents = _dependents_of(steps)
        takers = Counter(name for step in steps.values() for name in _taken_from(step))
        self.lives = {name: Live(step, len(step.after), takers[name]) for name, step in steps.items()}
        #: How many are not over.
        self.open = len(steps)

    def records(self) -> tuple[StepRecord, ...]:
        """How the steps stand, in the order of the flow."""
        return tuple(live.snapshot() for live in self.lives.values())

    def snapshot(self, operation: str) -> StepRecord:
        """How one step stands."""
        return self.lives[operation].snapshot()

    def errors(self) -> list[str]:
        """What went wrong, but for what is tolerated, in the order of the flow."""
        failed = (live for live in self.lives.values() if live.state is State.FAILED and not live.tolerated)
        return [f"{live.step.operation}: {live.error}" for live in failed]

    def made_by(self, operation: str) -> list[Made] | None:
        """What a step made; None where it contributes nothing."""
        return self.lives[operation].made

    def stored(self, operation: str, outcome: Outcome) -> None:
        """Takes note of what became of a step's records.

        One whose records can't be stored has failed, and nothing that comes after it and is not done can be.
        """
        live = self.lives[operation]
        live.record = None
        if not isinstance(outcome, Exception):
            live.written = outcome
            return
        live.state, live.tolerated = State.FAILED, False
        hint = f"\n  hint: {outcome.hint}" if isinstance(outcome, PulpoError) and outcome.hint else ""
        live.error = f"what it made can't be stored: {explain(outcome)}{hint}"
        reached, queue = {operation}, deque([operation])
        while queue:
            for name in self._dependents[queue.popleft()]:
                if name not in reached:
                    reached.add(name)
                    queue.append(name)
                    self.lives[name].blocked_by = operation
        self.tell(live, "finished")

    def settle(self, live: Live) -> list[Live]:
        """A step is over: what it took is let go, and what waited for it alone is given back, in the order of the flow."""
        self.open -= 1
        for name in _taken_from(live.step):
            source = self.lives[name]
            source.takers -= 1
            if source.takers == 0:
                source.made = None
        operation, blocks = live.step.operation, live.blocks
        ready = []
        for name in self._dependents[operation]:
            dependent = self.lives[name]
            if blocks:
                dependent.blocked_by = operation
            dependent.waits -= 1
            if dependent.waits == 0:
                ready.append(dependent)
        return ready

    def tell(self, live: Live, kind: Kind) -> None:
        """Tells the listener, if there is one."""
        if self._on_event is not None:
            message = live.state.value if kind == "finished" else ""
            self._on_event(Event(kind, self._run, live.step.operation, message))


def _taken_from(step: Step) -> set[str]:
    return {source for argument in step.arguments for source in argument.sources}


def _dependents_of(steps: Mapping[str, Step]) -> dict[str, tuple[str, ...]]:
    """For each operation those that wait for it, in the order of the steps."""
    found: dict[str, list[str]] = {name: [] for name in steps}
    for step in steps.values():
        for name in step.after:
            found[name].append(step.operation)
    return {name: tuple(names) for name, names in found.items()}
