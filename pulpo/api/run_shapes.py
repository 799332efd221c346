"""Runs as the API says them, and what it is asked about them."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from pulpo.codes.credentials import masked
from pulpo.run.logs import LoggedLine
from pulpo.run.record import RunRecord, State
from pulpo.store.values import now

RunState = Literal["pending", "running", "completed", "failed", "cancelled", "crashed"]
StepState = Literal["pending", "running", "completed", "failed", "skipped", "cancelled", "reused", "crashed"]
_Named = Annotated[str, Field(pattern=r"^(latest|run:.+)$")]
_Records = list[dict[str, Any]]
_RECORDS: Final = TypeAdapter(_Records)


def _one_kind(value: object, either: ValidatorFunctionWrapHandler) -> object:
    """What is wrong is told of the kind that was meant: the places in a union's errors have names of its types in them."""
    if isinstance(value, list):
        return _RECORDS.validate_python(value, strict=True)
    try:
        return either(value)
    except ValidationError:
        raise PydanticCustomError("source", "must be latest, run:ID, or a list of records") from None


Source = Annotated[_Named | _Records, WrapValidator(_one_kind)]
Expressions = list[Annotated[str, Field(min_length=1)]]


def _no_number(value: object) -> object:
    """Pydantic takes a number for seconds since 1970; the document says nothing of that."""
    if isinstance(value, str) and value[4:5] != "-":
        raise PydanticCustomError("datetime", "must be a date or a time: 2026-01-31T06:00:00Z")
    return value


Since = Annotated[dt.datetime, BeforeValidator(_no_number)]

#: Ids of each output that a run is shown with; `/runs/{run}/outputs/{operation}` gives all.
IDS = 100


class _Asked(BaseModel):
    """What a body may say; nothing else, and of no other type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    parameters: dict[str, Any] = Field(default={}, description="Values by name: `limit`, or `fetch.limit`.")
    inputs: dict[str, Source] = Field(
        default={}, description="Where records of a model come from: `latest`, `run:ID`, or the records themselves."
    )
    wait: float = Field(default=0, ge=0, le=3600, description="Seconds to wait for the end; less than the API's time limit.")


class ResumeRequest(_Asked):
    """How to go on with a run."""


class OperationRunRequest(_Asked):
    """How to run an operation."""

    engine: Literal["inline", "prefect"] = Field(
        default="inline", description="`inline`: at once, by the API. `prefect`: queued on the Prefect server, for a worker."
    )


class FlowRunRequest(OperationRunRequest):
    """How to run a flow, or a part of it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_by_alias=True, validate_by_name=False)

    select: Expressions = Field(default=[], description="Only these: name, +name, name+, a glob, a flow, tag:x.")
    from_: Expressions = Field(default=[], alias="from", description="These and what is downstream of them.")
    to: Expressions = Field(default=[], description="These and what is upstream of them.")
    only: Expressions = Field(default=[], description="Exactly these.")
    with_upstream: bool = Field(default=False, description="Run what it needs from other flows, too.")


class RunProcess(BaseModel):
    """Where a run is executed."""

    host: str
    pid: int


class RunSummary(BaseModel):
    """A run of a flow."""

    id: str
    flow: str
    state: RunState
    #: None of one that is queued on Prefect.
    started: dt.datetime | None
    finished: dt.datetime | None
    error: str | None
    engine: Literal["inline", "prefect"]
    #: Prefect's id of it.
    flow_run: str | None
    resumed_from: str | None
    #: The operations that were selected; None for the whole flow.
    selection: list[str] | None
    process: RunProcess | None

    @classmethod
    def of(cls, run: RunRecord) -> Self:
        """From the history."""
        return cls.model_validate(_summary(run))


class StepCounts(BaseModel):
    """Records of one model that went through a step."""

    taken: int
    made: int
    inserted: int
    updated: int
    unchanged: int


class CulpritInfo(BaseModel):
    """What a call failed on, as far as is known."""

    #: The model and the id of the record that it was called with.
    model: str | None
    record: str | None
    #: The model that `field` is of: what an operation made need not be of the model that it took.
    of: str | None
    #: Dotted; empty where it is not a field that is wrong.
    field: str
    message: str


class RunStep(BaseModel):
    """How one operation fared in a run."""

    operation: str
    state: StepState
    started: dt.datetime | None
    finished: dt.datetime | None
    attempts: int
    counts: dict[str, StepCounts]
    failures: int
    error: str | None
    #: What the first calls that failed failed on, at most 10.
    culprits: list[CulpritInfo]
    #: The run that its outputs are from, where they were reused.
    reused_from: str | None
    #: How many records each output has.
    outputs: list[int]
    #: Of each output the ids of the first 100 records.
    ids: list[list[str]]


class RunDetail(RunSummary):
    """A run with its steps."""

    #: As given, but for passwords in URIs, which are `***`.
    parameters: dict[str, Any]
    #: Where records from outside came from, by `operation.argument`.
    inputs: dict[str, str]
    steps: list[RunStep]

    @classmethod
    def of(cls, run: RunRecord, ids: dict[str, list[list[str]]] | None = None) -> Self:
        """From the history, with the ids of what each operation put out."""
        steps = [{**asdict(step), "ids": [some[:IDS] for some in (ids or {}).get(step.operation, [])]} for step in run.steps]
        parameters = masked(dict(run.parameters))
        return cls.model_validate({**_summary(run), "parameters": parameters, "inputs": run.inputs, "steps": steps})

    @classmethod
    def queued(cls, flow_run: str, flow: str, state: State, error: str | None = None) -> Self:
        """A flow run of Prefect that has not begun."""
        run = RunRecord(flow_run, flow, state, now(), error=error, engine="prefect", flow_run=flow_run)
        return cls.of(run).model_copy(update={"started": None})


class RunList(BaseModel):
    """Runs, newest first."""

    items: list[RunSummary]
    next: str | None


class OutputIds(BaseModel):
    """Ids of records that an operation put out, as produced."""

    items: list[str]
    next: str | None


class LogItem(BaseModel):
    """A line that an operation logged."""

    number: int
    operation: str
    time: dt.datetime
    level: str
    logger: str
    message: str

    @classmethod
    def of(cls, line: LoggedLine) -> Self:
        """From the history."""
        return cls.model_validate(asdict(line))


class LogList(BaseModel):
    """Lines in the order in which they came."""

    items: list[LogItem]
    next: str | None


def _summary(run: RunRecord) -> dict[str, Any]:
    names = ("id", "flow", "started", "finished", "error", "engine", "flow_run", "resumed_from", "selection")
    values = {name: getattr(run, name) for name in names}
    process = None if run.process is None else {"host": run.process.host, "pid": run.process.pid}
    return {**values, "state": run.state.value, "process": process}
