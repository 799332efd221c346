"""The manifest as data: what `pulpo.lock.yaml` may hold.

The pydantic models are the edge: they accept exactly what the file may say (`Manifest.model_validate(data)` on plain data,
in the file's own words, such as `async` and `from`) and give it back (`Manifest.data()`), unset fields left out. *Unset* is
not *default*: a setting that nobody set is `None` here and absent in the file.

JSON Schema is generated from them (`pulpo.manifest.schema`), so titles, descriptions and examples here are what an editor
shows.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from pulpo.names import ENTRYPOINT_PATTERN, MODEL_PATTERN, OPERATION_PATTERN, snake_case

#: The version of the manifest that this Pulpo writes.
VERSION = 1

JsonSchema = dict[str, Any]
OperationName = Annotated[str, Field(pattern=OPERATION_PATTERN)]
ModelName = Annotated[str, Field(pattern=MODEL_PATTERN)]
Entrypoint = Annotated[str, Field(pattern=ENTRYPOINT_PATTERN)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
FieldName = Annotated[str, Field(min_length=1)]


def _integral(value: object) -> object:
    """In JSON, and so to every schema validator, 3.0 is the integer 3, and true is not 1."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic reports only ValueError
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Whole numbers from 0, and from 1. The bounds stand here: outside of the validator pydantic leaves them out of the schema.
Count = Annotated[int, Field(ge=0), BeforeValidator(_integral)]
PositiveCount = Annotated[int, Field(ge=1), BeforeValidator(_integral)]


def _shortest(value: float) -> float:
    """As people write it: 30, not 30.0."""
    return int(value) if value.is_integer() and abs(value) < 1e15 else value  # noqa: PLR2004 - larger ones have exponents


Seconds = Annotated[float, PlainSerializer(_shortest, return_type=Any)]


class Spec(BaseModel):
    """Base of all parts: closed (only keys beginning with `x-` are free), no nulls, no coercion."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    #: Fields in which null is a value.
    nullable: ClassVar[frozenset[str]] = frozenset()
    #: The file's words for the fields, filled in per class.
    keys: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.keys = frozenset(field.alias or name for name, field in cls.model_fields.items())

    @model_validator(mode="before")
    @classmethod
    def _closed(cls, data: object) -> object:
        if isinstance(data, Mapping):
            for key, value in data.items():
                if key not in cls.keys:
                    if not (isinstance(key, str) and key.startswith("x-")):
                        raise ValueError(f"unknown key {key!r}")
                elif value is None and key not in cls.nullable:
                    raise ValueError(f"{key} is null: leave it out instead")
        return data

    def data(self) -> dict[str, Any]:
        """The part as plain data in the file's words, in the order of the fields; unset fields are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class ProjectSpec(Spec):
    """The project that the manifest describes."""

    name: str = Field(min_length=1, description="The project's name.")
    modules: list[str] = Field(default=[], description="Modules that are imported (packages recursively) to find declarations.")
    mode: Literal["local", "docker"] | None = Field(default=None, description="How services run: as processes, or as containers.")


class ModelSettings(Spec):
    """What `@datamodel` gives a default for and the file overrides."""

    description: str | None = Field(default=None, description="What a record is, in a sentence.")
    collection: str | None = Field(
        default=None,
        min_length=1,
        pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$",
        description="The collection that its records are stored in; the model's name in snake_case where unset.",
    )
    key: list[FieldName] | None = Field(
        default=None,
        min_length=1,
        description="The natural key: records that agree in these fields are one record.",
        examples=[["url"]],
    )
    indexes: list[Annotated[list[FieldName], Field(min_length=1)]] | None = Field(
        default=None, description="Indexes of the collection, each a list of fields.", examples=[[["company"], ["posted_at"]]]
    )
    tags: list[str] | None = Field(default=None, description="Words to select by.")


class ModelSpec(ModelSettings):
    """A declared data model: what its records look like and where they are stored."""

    entrypoint: Entrypoint | None = Field(default=None, description="Where the class is: `package.module:Class`.")
    origin: Literal["manifest"] | None = Field(
        default=None, description="`manifest`: written by hand here, with no declaration in the code behind it."
    )
    orphaned: bool | None = Field(default=None, description="The model left the code but has hand edits.")
    json_schema: JsonSchema = Field(default={}, alias="schema", description="JSON Schema 2020-12 of the model's validated input.")

    def collection_for(self, name: str) -> str:
        """The collection of the model called `name`."""
        return self.collection or snake_case(name)


class ParameterSpec(Spec):
    """A parameter of an operation that is not a model: a value of the run."""

    nullable = frozenset({"default"})

    json_schema: JsonSchema = Field(default={}, alias="schema", description="JSON Schema 2020-12 of the value.")
    default: Any = Field(default=None, description="The value when none is given; without a default it is required.")
    description: str | None = None
    argument: Identifier | None = Field(
        default=None, description="The argument whose object this value is a field of (see `parameter_objects`)."
    )

    @property
    def required(self) -> bool:
        """Whether a run has to be given a value."""
        return "default" not in self.model_fields_set


class Mode(enum.StrEnum):
    """How records come into a parameter."""

    ONE = "one"
    EACH = "each"
    ALL = "all"
    KEYED = "keyed"
    PREVIOUS = "previous"


class InputSpec(Spec):
    """An input of an operation: which model, from which operations, one or many."""

    model: ModelName = Field(description="The model of the records that come in.")
    mode: Annotated[Mode, Field(strict=False)] | None = Field(
        default=None,
        description="`one`: the record. `each`: once per record, after all producers are done. `all`: one list. "
        "`keyed`: by producer name. `previous`: what the last successful run stored; never an edge.",
    )
    sources: list[OperationName] | None = Field(
        default=None, alias="from", description="The operations whose outputs come in, as resolved by `pulpo lock`."
    )
    many: bool | None = Field(default=None, description="In the modes `keyed` and `previous`: a list instead of one record.")
    optional: bool | None = Field(default=None, description="None comes in where nothing comes.")
    select: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None, description="Globs over operation names that choose the producers; a leading `.` means my own flow."
    )


class OutputSpec(Spec):
    """An output of an operation."""

    model: ModelName = Field(description="The model of the records that come out.")
    many: bool | None = Field(default=None, description="A list of records.")
    optional: bool | None = Field(default=None, description="None may be returned: no record.")


class CacheSpec(Spec):
    """Reuse of an operation's earlier outputs for the same inputs and parameters."""

    ttl: Seconds | None = Field(default=None, gt=0, description="Seconds that an output may be reused for; for ever where unset.")


class OperationSettings(Spec):
    """What a decorator gives a default for and the file overrides."""

    description: str | None = Field(default=None, description="What the operation does, in a sentence.")
    category: str | None = Field(default=None, description="A word to group operations by in lists.")
    version: str | None = Field(
        default=None, description="The user's word for the version of the function; part of the cache's key."
    )
    tags: list[str] | None = Field(default=None, description="Words to select by, as `tag:nightly`.")
    retries: Count | None = Field(default=None, description="How often a failed call is tried again.", examples=[3])
    retry_delay: Seconds | None = Field(
        default=None, ge=0, description="Seconds before the first retry, doubled before each one after it; 1 where unset."
    )
    timeout: Seconds | None = Field(default=None, gt=0, description="Seconds that one call may take.")
    concurrency: PositiveCount | None = Field(default=None, description="How many calls of the operation run at the same time.")
    on_error: Literal["fail", "skip"] | None = Field(
        default=None,
        description="`fail`: the operation fails and what waits for it is skipped. `skip`: go on without the record.",
    )
    cache: CacheSpec | None = Field(default=None, description="Reuse outputs of an earlier run; off where unset.")
    after: list[OperationName] | None = Field(
        default=None, description="Operations that have to be done first, without data from them."
    )


class OperationSpec(OperationSettings):
    """An operation: the user's function, what goes in and what comes out."""

    entrypoint: Entrypoint = Field(description="Where the function is: `package.module:function`.")
    origin: Literal["manifest"] | None = Field(
        default=None, description="`manifest`: written by hand here, with no decorator in the code behind it."
    )
    orphaned: bool | None = Field(default=None, description="The operation left the code but has hand edits.")
    is_async: bool = Field(default=False, alias="async", description="Whether the function is async.")
    parameters: dict[Identifier, ParameterSpec] = Field(default={}, description="Values of the run, by name.")
    parameter_objects: dict[Identifier, Entrypoint] | None = Field(
        default=None, description="Arguments that are built from parameters: the argument's name and its class."
    )
    inputs: dict[Identifier, InputSpec] = Field(default={}, description="Parameters that are models, by name.")
    outputs: list[OutputSpec] = Field(default=[], description="What the function returns: one, or a tuple of several.")
    models_in: list[ModelName] | None = Field(
        default=None, description="Models that the function reads from the store by itself."
    )
    models_out: list[ModelName] | None = Field(
        default=None, description="Models that the function writes to the store by itself."
    )


class ScheduleSpec(Spec):
    """When a deployed flow runs: exactly one of cron, interval and rrule."""

    cron: str | None = Field(default=None, description="Five fields, as crontab has them.", examples=["0 6 * * *"])
    interval: Seconds | None = Field(default=None, gt=0, description="Seconds between runs.")
    rrule: str | None = Field(default=None, description="An RFC 5545 recurrence rule.")
    timezone: str | None = Field(default=None, description="IANA name of the time zone.", examples=["Europe/Berlin"])
    paused: bool | None = Field(default=None, description="Keep the schedule but do not run by it.")


class FlowSpec(Spec):
    """A flow: a node of the dotted hierarchy."""

    description: str | None = None
    schedule: ScheduleSpec | None = None
    tags: list[str] | None = None
    parameters: dict[str, Any] | None = Field(
        default=None, description="Values for the flow's parameters when it runs by schedule."
    )
    segments: list[list[OperationName]] | None = Field(
        default=None,
        description="Written by `pulpo lock` where grouping by flow would make a cycle: the parts of the flow, run in turn.",
    )


class ServiceSpec(Spec):
    """A service of the project."""

    image: str | None = None
    command: list[str] | None = None
    environment: dict[str, str] | None = None
    ports: list[str] | None = None
    volumes: list[str] | None = None
    depends_on: list[str] | None = None


class EnvironmentSpec(Spec):
    """An overlay: what differs in one environment."""

    project: dict[str, Any] | None = None
    models: dict[str, dict[str, Any]] | None = None
    operations: dict[str, dict[str, Any]] | None = None
    flows: dict[str, dict[str, Any]] | None = None
    services: dict[str, dict[str, Any]] | None = None


class DeclaredSpec(Spec):
    """What the decorators said at the last lock: the base that tells a hand edit from a change of the code."""

    models: dict[ModelName, dict[str, Any]] = {}
    operations: dict[OperationName, dict[str, Any]] = {}


class Manifest(Spec):
    """`pulpo.lock.yaml`."""

    version: Annotated[Literal[1], BeforeValidator(_integral)] = Field(description="The version of the manifest's format.")
    project: ProjectSpec
    models: dict[ModelName, ModelSpec] = Field(default={}, description="The declared data models, by name.")
    operations: dict[OperationName, OperationSpec] = Field(default={}, description="The operations, by dotted name.")
    flows: dict[OperationName, FlowSpec] = Field(default={}, description="Settings of flows, by dotted name.")
    services: dict[str, ServiceSpec] = Field(default={}, description="The services around the pipeline, by name.")
    environments: dict[str, EnvironmentSpec] = Field(default={}, description="Overlays, by name.")
    declared: DeclaredSpec | None = Field(
        default=None, description="Kept by `pulpo lock`: what the decorators said last time. Not for editing."
    )

    @property
    def live_operations(self) -> dict[str, OperationSpec]:
        """The operations without those that left the code."""
        return {name: spec for name, spec in self.operations.items() if not spec.orphaned}


#: Fields of a model's entry that the decorator gives a default for and the file overrides.
MODEL_SETTINGS: tuple[str, ...] = tuple(ModelSettings.model_fields)
#: Fields of an operation's entry that the decorator gives a default for and the file overrides.
OPERATION_SETTINGS: tuple[str, ...] = tuple(OperationSettings.model_fields)
