"""The history of runs as data: a run, its steps, and the ids of what each step put out.

These collections hold it: `pulpo_runs` (one record a run), `pulpo_steps` (one a step that was begun or decided),
`pulpo_outputs` (the ordered ids of each output, in chunks), `pulpo_cache` (by cache key, the run whose outputs stand),
`pulpo_inputs` (the records of file inputs, so that a run can be resumed without the file), `pulpo_logs` (one record a line
that an operation logged; see `pulpo.run.logs`) and `pulpo_cancels` (runs that servers have been asked to cancel). Records of
steps and outputs are found by their ids, which derive from the run and the operation.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
import secrets
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import psutil

from pulpo.store.base import Collection, Index, Record
from pulpo.store.values import from_iso, now

RUNS = Collection("pulpo_runs", indexes=(Index(("flow",)), Index(("state",)), Index(("flow_run",))))
STEPS = Collection("pulpo_steps")
OUTPUTS = Collection("pulpo_outputs", indexes=(Index(("model", "run")),))
CACHE = Collection("pulpo_cache")
INPUTS = Collection("pulpo_inputs", indexes=(Index(("run",)),))
LOGS = Collection("pulpo_logs", indexes=(Index(("run",)),))
CANCELS = Collection("pulpo_cancels")
REQUESTS = Collection("pulpo_requests")
#: All of them.
HISTORY = (RUNS, STEPS, OUTPUTS, CACHE, INPUTS, LOGS, CANCELS, REQUESTS)

#: Ids in one record of `pulpo_outputs`.
CHUNK = 10_000
#: How long a run may say nothing before it counts as crashed on another machine: many times what is between two signs of life,
#: so that clocks may differ by some seconds, and a store may be away for a moment.
SILENCE = dt.timedelta(seconds=60)


class State(enum.StrEnum):
    """Of a run: running, completed, failed, cancelled, crashed. Of a step: all."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    #: Not run, because what it needs is not there.
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    #: Not run, because its outputs of an earlier run stand.
    REUSED = "reused"
    #: Never stored. What says `running` and is not: a run whose process is gone, a step whose run is over.
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Process:
    """Which process executes a run; `created` tells it from a later one with the same id."""

    host: str
    pid: int
    created: float

    @classmethod
    def current(cls) -> Self:
        """This process."""
        process = psutil.Process()
        return cls(socket.gethostname(), process.pid, process.create_time())

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is another machine's, or another container's."""
        return self.host != socket.gethostname()

    def is_gone(self) -> bool:
        """Whether it surely ended; of processes elsewhere nothing is known, so they count as alive."""
        if self.is_elsewhere:
            return False
        try:
            process = psutil.Process(self.pid)
            # A killed one stays a zombie for as long as its parent does not ask: in a container without an init, for ever.
            return bool(process.create_time() != self.created) or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


@dataclass(frozen=True, slots=True)
class Counts:
    """Records of one model that went through a step."""

    taken: int = 0
    made: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Culprit:
    """What a call failed on: the record that it was called with, and the field that is wrong, as far as they are known."""

    #: Of the record.
    model: str | None
    #: The record's id.
    record: str | None
    #: The model that the field is of: what the operation made need not be of the model that it took.
    of: str | None
    #: Dotted; empty where it is not a field that is wrong.
    field: str
    #: The first line of the error.
    message: str


@dataclass(frozen=True, slots=True)
class StepRecord:
    """How one operation fared in a run."""

    operation: str
    entrypoint: str
    state: State = State.PENDING
    started: dt.datetime | None = None
    finished: dt.datetime | None = None
    #: How often the call was tried; of a mapped step, the most tries that one record took.
    attempts: int = 0
    #: By model, sorted by its name.
    counts: Mapping[str, Counts] = field(default_factory=dict)
    #: How many ids each output has, in their order; empty while it has none.
    outputs: tuple[int, ...] = ()
    #: Records that were dropped because their call failed (`on_error: skip`).
    failures: int = 0
    error: str | None = None
    cache_key: str | None = None
    #: The run that the outputs are from, of a reused step.
    reused_from: str | None = None
    #: What the first calls that failed failed on.
    culprits: tuple[Culprit, ...] = ()

    def data(self, run: str) -> dict[str, Any]:
        """As stored: what is unset is left out, times are texts, and so are counts, in the order of their fields."""
        data: dict[str, Any] = {
            "run": run,
            "operation": self.operation,
            "entrypoint": self.entrypoint,
            "state": str(self.state),
            "attempts": self.attempts,
            "outputs": list(self.outputs),
        }
        if self.started:
            data["started"] = self.started.isoformat(timespec="milliseconds")
        if self.finished:
            data["finished"] = self.finished.isoformat(timespec="milliseconds")
        for model, c in self.counts.items():
            data.setdefault("counts", {})[model] = f"{c.taken} {c.made} {c.inserted} {c.updated} {c.unchanged}"
        for name in ("failures", "error", "cache_key", "reused_from"):
            value = getattr(self, name)
            if value:
                data[name] = value
        if self.culprits:
            data["culprits"] = [asdict(culprit) for culprit in self.culprits]
        return data

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """From what is stored."""
        values = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        values["state"] = State(data["state"])
        values["outputs"] = tuple(data["outputs"])
        values["counts"] = {model: Counts(*map(int, counts.split())) for model, counts in sorted(data.get("counts", {}).items())}
        values["culprits"] = tuple(Culprit(**culprit) for culprit in data.get("culprits", ()))
        for name in ("started", "finished"):
            if name in data:
                values[name] = from_iso(data[name])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run of a flow."""

    id: str
    flow: str
    state: State
    started: dt.datetime
    finished: dt.datetime | None = None
    #: Values as given, by the flow's names for them, JSON-able.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: Where records from outside came from, by `operation.argument`: `run:ID` or `file`.
    inputs: Mapping[str, str] = field(default_factory=dict)
    #: All errors, one paragraph a failed step, in the order of the flow.
    error: str | None = None
    engine: str = "inline"
    #: The id of Prefect's flow run, on the engine `prefect`.
    flow_run: str | None = None
    resumed_from: str | None = None
    #: The first run of a chain of resumed ones (itself where it resumed none): ids of records without a key derive from it.
    root: str = ""
    #: The operations that were selected, sorted; None for the whole flow.
    selection: tuple[str, ...] | None = None
    #: The operations that take part, in the order of the flow.
    operations: tuple[str, ...] = ()
    process: Process | None = None
    #: When its process last said that it executes the run, by its own clock; a run that is over does not say it.
    seen: dt.datetime | None = None
    #: Its process is a server's, with other work to do: it is told through the store (`pulpo_cancels`) to cancel the run.
    served: bool = False
    #: In the order of `operations`; empty where only the run itself was read.
    steps: tuple[StepRecord, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the run completed."""
        return self.state is State.COMPLETED

    @property
    def is_given_up(self) -> bool:
        """Whether its process is gone: one of this machine surely, one elsewhere as far as its silence tells."""
        if self.process is None:
            return False
        if self.process.is_elsewhere:
            return now() - (self.seen or self.started) >= SILENCE
        return self.process.is_gone()

    def judged(self, step: StepRecord) -> StepRecord:
        """A step of this run, given as stored: nobody was left to tell of the end of one that was at work."""
        if step.state is State.RUNNING and self.state is not State.RUNNING:
            return replace(step, state=State.CRASHED)
        return step

    def data(self) -> dict[str, Any]:
        """As stored. Parameters and inputs are JSON text: their names hold dots, which no field of a record may."""
        return {
            "flow": self.flow,
            "state": self.state.value,
            "started": self.started,
            "finished": self.finished,
            "parameters": json.dumps(dict(self.parameters), sort_keys=True),
            "inputs": json.dumps(dict(self.inputs), sort_keys=True),
            "error": self.error,
            "engine": self.engine,
            "flow_run": self.flow_run,
            "resumed_from": self.resumed_from,
            "root": self.root,
            "selection": None if self.selection is None else list(self.selection),
            "operations": list(self.operations),
            "process": None
            if self.process is None
            else {"host": self.process.host, "pid": self.process.pid, "created": self.process.created},
            "seen": self.seen,
            "served": self.served,
        }

    @classmethod
    def of(cls, record: Record) -> Self:
        """From what is stored; a run that says `running` although its process is gone is `crashed`."""
        data = record.data
        values = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        values |= {
            "state": State(data["state"]),
            "process": Process(**data["process"]) if data["process"] else None,
            "parameters": json.loads(data["parameters"]),
            "inputs": json.loads(data["inputs"]),
            "selection": None if data["selection"] is None else tuple(data["selection"]),
            "operations": tuple(data["operations"]),
        }
        run = cls(id=record.id, **values)
        return replace(run, state=State.CRASHED) if run.state is State.RUNNING and run.is_given_up else run


def new_run_id(now: dt.datetime) -> str:
    """An id that sorts by start, to the millisecond: `20261122-083000-3e79f2c`."""
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03x}{secrets.token_hex(2)}"


def first_run_id(since: dt.datetime) -> str:
    """What sorts before the ids of all runs that began then or later; without an offset the time is UTC."""
    try:
        start = since.replace(tzinfo=since.tzinfo or dt.UTC).astimezone(dt.UTC)
    except OverflowError:  # the first day there is, or the last
        start = since
    return f"{start.year:04}{start:%m%d-%H%M%S}-{start.microsecond // 1000:03x}"


def step_id(run: str, operation: str) -> str:
    """Where a step's record is in `pulpo_steps`."""
    return f"{run}:{operation}"


def output_id(run: str, operation: str, position: int, chunk: int) -> str:
    """Where a part of an output's ids is in `pulpo_outputs`."""
    return f"{run}:{operation}:{position}:{chunk}"


def output_records(run: str, operation: str, position: int, model: str, ids: list[str]) -> list[Record]:
    """The records of `pulpo_outputs` for one output; none where nothing came out."""
    return [
        Record(
            output_id(run, operation, position, start // CHUNK),
            {"run": run, "operation": operation, "model": model, "ids": ids[start : start + CHUNK]},
            run=run,
            operation=operation,
        )
        for start in range(0, len(ids), CHUNK)
    ]


def output_place(identity: str) -> tuple[str, int, int]:
    """Sorts ids of `pulpo_outputs` by operation, then as produced."""
    _, operation, position, chunk = identity.split(":")
    return operation, int(position), int(chunk)
