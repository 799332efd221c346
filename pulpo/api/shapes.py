"""What the manifest's resources look like over HTTP: models, operations, flows, and problems."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """Base of all: what is unset is null."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True)


class SourcePlace(Shape):
    """A place in a file, both counted from 1; the file is relative to the project."""

    file: str
    line: int
    column: int


class Setting(Shape):
    """A setting of a model or an operation, and who says it."""

    value: Any
    owner: Literal["code", "manifest", "environment"] = Field(
        description="`code`: the decorator; `manifest`: a hand edit of the lock; `environment`: the overlay of the environment."
    )


class ModelInfo(Shape):
    """A model: where its records are, and which operations have to do with it."""

    name: str
    description: str | None
    entrypoint: str | None
    origin: Literal["code", "manifest"]
    collection: str
    key: list[str]
    indexes: list[list[str]]
    tags: list[str]
    producers: list[str] = Field(description="They return records of it.")
    updaters: list[str] = Field(description="They take or read records of it, and return or write them.")
    writers: list[str] = Field(description="They write it to the store by themselves.")
    consumers: list[str] = Field(description="They take records of it.")
    readers: list[str] = Field(description="They read it from the store by themselves.")
    count: int | None = Field(description="How many records are stored, where `count=exact` asks for it.")


class ModelList(Shape):
    """The models, sorted by name."""

    items: list[ModelInfo]


class FieldInfo(Shape):
    """A field that lists of records can be filtered by, maybe sorted as well."""

    name: str = Field(description="Dotted where it is nested; what the store keeps begins with `_`.")
    kinds: list[str] = Field(
        description="JSON's types of its values, sorted; `date`, `date-time` and `uuid` for texts of these formats, `any`."
    )
    choices: list[Any] | None = Field(description="All values that there are; null where others can be.")
    operators: list[str] = Field(description="What `name__operator=value` takes.")
    sortable: bool
    searched: bool = Field(description="Whether `q` looks in it.")


class ModelDetail(ModelInfo):
    """A model with its schema."""

    json_schema: dict[str, Any] = Field(alias="schema", description="JSON Schema 2020-12 of what a record is made from.")
    body: dict[str, Any] = Field(
        description="JSON Schema of a record over HTTP: as `schema`, by the names that fields are stored under."
    )
    fields: list[FieldInfo] = Field(description="In the order of the schema, what the store keeps last.")
    settings: dict[str, Setting]
    source: SourcePlace | None = Field(description="Where the class is written, if it is in the project.")


class InputInfo(Shape):
    """An input of an operation: which records come in, and from which operations."""

    parameter: str
    model: str
    mode: str | None
    sources: list[str] = Field(alias="from")
    many: bool
    optional: bool


class OutputInfo(Shape):
    """An output of an operation."""

    model: str
    many: bool
    optional: bool


class ParameterInfo(Shape):
    """A parameter of an operation or a flow: a value that a run is given."""

    name: str
    json_schema: dict[str, Any] = Field(alias="schema")
    required: bool
    default: Any = Field(description="The value where a run gives none; null as well where one is required.")
    description: str | None
    targets: list[str] = Field(description="`operation.parameter` of each operation that takes the value.")


class LastRun(Shape):
    """How an operation or a flow fared in a run."""

    run: str
    flow: str
    state: str
    started: dt.datetime | None
    finished: dt.datetime | None
    error: str | None


class OperationInfo(Shape):
    """An operation: the function, what goes in and what comes out."""

    name: str
    flow: str | None = Field(description="The flow that it lies in; null of a standalone one.")
    description: str | None
    entrypoint: str
    origin: Literal["code", "manifest"]
    orphaned: bool
    is_async: bool = Field(alias="async")
    tags: list[str]
    parameters: list[ParameterInfo]
    inputs: list[InputInfo]
    outputs: list[OutputInfo]
    last_run: LastRun | None = Field(description="How it fared last, among the latest 200 runs, where `last` asks for it.")


class OperationList(Shape):
    """The operations, sorted by name."""

    items: list[OperationInfo]


class OperationDetail(OperationInfo):
    """An operation with its settings, its place, its neighbours and its last runs."""

    settings: dict[str, Setting]
    source: SourcePlace | None = Field(description="Where the function is written, if it is in the project.")
    upstream: list[str] = Field(description="The operations that it waits for.")
    downstream: list[str] = Field(description="The operations that wait for it.")
    models_in: list[str]
    models_out: list[str]
    last_runs: list[LastRun] = Field(description="Newest first, at most 5 of the latest 50 runs.")


class FlowInfo(Shape):
    """A flow: a node of the hierarchy, a standalone operation's own, or `pipeline`, which is all of them."""

    name: str
    description: str | None
    standalone: bool
    flows: list[str] = Field(description="The flows directly in it.")
    operations: list[str] = Field(description="All operations in it, in an order in which they can run.")
    parameters: list[ParameterInfo]
    tags: list[str]
    schedule: dict[str, Any] | None = Field(description="As the manifest has it.")
    next: list[dt.datetime] = Field(
        description="The next 5 times that the schedule means; none where it is paused. An interval counts from when it was "
        "deployed: none where it is not, or Prefect's server does not say it at once."
    )
    last_run: LastRun | None = Field(description="The last one among the latest 200 runs, where `last` asks for it.")
    deployment: str | None = Field(description="What Prefect calls its deployment; null where there is nothing to deploy.")


class FlowList(Shape):
    """The flows, sorted by name."""

    items: list[FlowInfo]


class FlowInput(Shape):
    """A model that operations of a flow take."""

    model: str
    arguments: list[str] = Field(description="`operation.argument` of each that takes it.")
    outside: bool = Field(description="Whether the whole flow takes records of it that it does not make.")


class FlowDetail(FlowInfo):
    """A flow with all that the manifest says about it."""

    inputs: list[FlowInput] = Field(description="Sorted by model.")

    settings: dict[str, Any] = Field(description="As the manifest has them, references as they are written.")
    dependencies: dict[str, list[str]] = Field(description="For each operation the operations of this flow that it waits for.")


class RelatedPlace(Shape):
    """Another place that a problem is about."""

    message: str
    path: list[str | int]
    file: str | None
    line: int | None
    column: int | None
    end_line: int | None
    end_column: int | None


class DiagnosticInfo(Shape):
    """A problem of the manifest."""

    code: str
    severity: Literal["error", "warning", "note"]
    message: str
    path: list[str | int]
    file: str | None
    line: int | None
    column: int | None
    end_line: int | None
    end_column: int | None
    hint: str | None
    related: list[RelatedPlace]
    url: str


class Report(Shape):
    """What `pulpo check --no-code --format json` says."""

    version: int
    ok: bool
    summary: dict[str, int]
    diagnostics: list[DiagnosticInfo]


class CodeInfo(Shape):
    """What a code of problems means, as `pulpo explain` has it."""

    title: str
    summary: str


class HandEdit(Shape):
    """A setting that is not as the decorator said it at the last lock, or an entry that is written by hand."""

    path: list[str]
    line: int = Field(description="Of the file, counted from 1; of the entry, where the setting was taken out.")
    base: Any = Field(description="What the decorator says; null as well where it says nothing.")
    value: Any = Field(description="What the file says; null as well where it says nothing.")
    message: str


class ManifestInfo(Shape):
    """The manifest: the file's text, what the API answers by, and what is wrong with the file."""

    file: str | None = Field(description="What places call the file; null where the API was made without one.")
    environment: str | None
    current: bool = Field(description="Whether the API answers by the file as it is; not so while the file has errors.")
    text: str | None = Field(description="The file as it is; null while it can't be read.")
    data: dict[str, Any] = Field(description="What the API answers by, in the environment if there is one.")
    report: Report
    codes: dict[str, CodeInfo] = Field(description="What the codes of the report mean.")
    edited: list[HandEdit] = Field(description="What people changed in the file, in its order.")
