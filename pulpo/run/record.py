"""The history of runs as data: a run, its steps, and the ids of what each step put out.

Three collections hold it: `pulpo_runs` (one record a run), `pulpo_steps` (one a step that was begun or decided) and
`pulpo_outputs` (the ordered ids of each output, in chunks). File inputs of a run are kept in `pulpo_inputs`, so that it can
be resumed without the file.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pulpo.store.base import Collection, Index, Record
from pulpo.store.values import record_id

RUNS = Collection("pulpo_runs", indexes=(Index(("flow",)), Index(("state",))))
STEPS = Collection("pulpo_steps", indexes=(Index(("run",)), Index(("cache_key",))))
OUTPUTS = Collection("pulpo_outputs", indexes=(Index(("run",)), Index(("model", "run"))))
INPUTS = Collection("pulpo_inputs", indexes=(Index(("run",)),))

#: Ids in one record of `pulpo_outputs`.
CHUNK = 10_000


class State(enum.StrEnum):
    """Of a run: running, completed, failed, cancelled, crashed. Of a step: all but crashed."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    #: Not run, because what it needs is not there.
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    #: Not run, because its outputs of an earlier run stand.
    REUSED = "reused"
    #: Never stored: what a run is that says `running` although its process is gone.
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
        import socket

        import psutil

        process = psutil.Process()
        return cls(socket.gethostname(), process.pid, process.create_time())

    def is_gone(self) -> bool:
        """Whether it surely ended; of another machine's processes nothing is known, so they count as alive."""
        import socket

        import psutil

        if self.host != socket.gethostname():
            return False
        try:
            return bool(psutil.Process(self.pid).create_time() != self.created)
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
    #: Records that were dropped because their call failed (`on_error: skip`).
    failures: int = 0
    error: str | None = None
    cache_key: str | None = None
    #: The run that the outputs are from, of a reused step.
    reused_from: str | None = None

    def data(self, run: str) -> dict[str, Any]:
        """As stored."""
        return {
            "run": run,
            "operation": self.operation,
            "entrypoint": self.entrypoint,
            "state": self.state.value,
            "started": self.started,
            "finished": self.finished,
            "attempts": self.attempts,
            "counts": {model: _counts_data(counts) for model, counts in self.counts.items()},
            "failures": self.failures,
            "error": self.error,
            "cache_key": self.cache_key,
            "reused_from": self.reused_from,
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """From what is stored."""
        values = {name: data[name] for name in cls.__dataclass_fields__}
        values["state"] = State(data["state"])
        values["counts"] = {model: Counts(**counts) for model, counts in sorted(data["counts"].items())}
        return cls(**values)


def _counts_data(counts: Counts) -> dict[str, int]:
    return {
        "taken": counts.taken,
        "made": counts.made,
        "inserted": counts.inserted,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
    }


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
    resumed_from: str | None = None
    #: The first run of a chain of resumed ones (itself where it resumed none): ids of records without a key derive from it.
    root: str = ""
    #: The operations that were selected, sorted; None for the whole flow.
    selection: tuple[str, ...] | None = None
    #: The operations that take part, in the order of the flow.
    operations: tuple[str, ...] = ()
    process: Process | None = None
    #: In the order of `operations`; empty where only the run itself was read.
    steps: tuple[StepRecord, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the run completed."""
        return self.state is State.COMPLETED

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
            "resumed_from": self.resumed_from,
            "root": self.root,
            "selection": None if self.selection is None else list(self.selection),
            "operations": list(self.operations),
            "process": None
            if self.process is None
            else {"host": self.process.host, "pid": self.process.pid, "created": self.process.created},
        }

    @classmethod
    def of(cls, record: Record) -> Self:
        """From what is stored; a run that says `running` although its process is gone is `crashed`."""
        data = record.data
        values = {name: data[name] for name in cls.__dataclass_fields__ if name not in ("id", "steps")}
        process = Process(**data["process"]) if data["process"] else None
        state = State(data["state"])
        if state is State.RUNNING and process is not None and process.is_gone():
            state = State.CRASHED
        values |= {
            "state": state,
            "process": process,
            "parameters": json.loads(data["parameters"]),
            "inputs": json.loads(data["inputs"]),
            "selection": None if data["selection"] is None else tuple(data["selection"]),
            "operations": tuple(data["operations"]),
        }
        return cls(id=record.id, **values)


def new_run_id(now: dt.datetime) -> str:
    """An id that sorts by start, to the millisecond: `20261122-083000-3e79f2c`."""
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03x}{secrets.token_hex(2)}"


def step_id(run: str, operation: str) -> str:
    """Where a step's record is in `pulpo_steps`."""
    return record_id(run, operation)


def output_records(run: str, operation: str, position: int, model: str, ids: list[str]) -> list[Record]:
    """The records of `pulpo_outputs` for one output: at least one, also where nothing came out."""
    return [
        Record(
            id=record_id(run, operation, position, chunk),
            data={
                "run": run,
                "operation": operation,
                "output": position,
                "model": model,
                "chunk": chunk,
                "ids": ids[chunk * CHUNK : (chunk + 1) * CHUNK],
            },
            run=run,
            operation=operation,
        )
        for chunk in range(max(1, -(-len(ids) // CHUNK)))
    ]
