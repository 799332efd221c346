"""The manifest as data: what `pulpo.lock.yaml` may hold.

The pydantic models are the edge: they accept exactly what the file may say (`Manifest.model_validate(data)` on plain data,
in the file's own words, such as `async` and `from`) and give it back (`Manifest.data()`), unset fields left out. *Unset* is
not *default*: a setting that nobody set is `None` here and absent in the file.

JSON Schema is generated from them (`pulpo.manifest.schema`), so titles, descriptions and examples here are what an editor
shows.
"""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from pulpo.manifest.flow import FlowSettings, FlowSpec
from pulpo.manifest.service import DockerSpec, ServiceSpec
from pulpo.manifest.spec import (
    CODE,
    COLLECTION_PATTERN,
    LOCK,
    SETTING,
    YOURS,
    Count,
    Entrypoint,
    FieldName,
    Identifier,
    JsonSchema,
    ModelName,
    OperationName,
    PositiveCount,
    Seconds,
    Spec,
    integral,
)
from pulpo.names import snake_case

#: The version of the manifest that this Pulpo writes.
VERSION = 1


class ProjectSpec(Spec):
    """The project that the manifest describes."""

    name: str = Field(min_length=1, description="The project's name; `name` in pyproject.toml goes before it.", examples=["jobs"])
    modules: list[str] = Field(
        default=[],
        description="Modules that `pulpo lock` imports, packages with all that is in them, to find declarations; "
        "`modules` under [tool.pulpo] in pyproject.toml goes before it.",
        examples=[["jobs"]],
    )
    mode: Literal["local", "docker"] | None = Field(
        default=None,
        description="How services run: `local`, the default, as processes on this machine; `docker`, as containers, by Docker "
        "Compose." + YOURS,
    )
    docker: DockerSpec | None = Field(
        default=None, description="How services run as containers." + YOURS, examples=[{"context": "prod"}]
    )


class ModelSettings(Spec):
    """What `@datamodel` gives a default for and the file overrides."""

    description: str | None = Field(default=None, description="What a record is, in a sentence." + SETTING)
    collection: str | None = Field(
        default=None,
        min_length=1,
        pattern=COLLECTION_PATTERN,
        description="The collection that its records are stored in; the model's name in snake_case where unset." + SETTING,
        examples=["raw_jobs"],
    )
    key: list[FieldName] | None = Field(
        default=None,
        min_length=1,
        description="The natural key: records that agree in these fields are one record, and the later one replaces the "
        "earlier. Without it every record is a new one." + SETTING,
        examples=[["url"]],
    )
    indexes: list[Annotated[list[FieldName], Field(min_length=1)]] | None = Field(
        default=None,
        description="Indexes of the collection, each a list of fields." + SETTING,
        examples=[[["company"], ["posted_at"]]],
    )
    tags: list[str] | None = Field(default=None, description="Words to select by." + SETTING, examples=[["nightly"]])


class ModelSpec(ModelSettings):
    """A declared data model: what its records look like and where they are stored."""

    entrypoint: Entrypoint | None = Field(
        default=None, description="Where the class is: `package.module:Class`." + CODE, examples=["jobs.models:RawJob"]
    )
    origin: Literal["manifest"] | None = Field(
        default=None,
        description="Says that the model is written by hand here: the whole entry is yours, no declaration stands behind it.",
    )
    object_ids: bool | None = Field(
        default=None,
        description="Whether ids of records are ObjectIds where a store has such, as Beanie's Documents want them; false where "
        "unset." + CODE,
    )
    orphaned: bool | None = Field(
        default=None,
        description="The model left the code but its entry has hand edits; `pulpo lock --prune` drops it." + LOCK,
    )
    json_schema: JsonSchema = Field(
        default={}, alias="schema", description="JSON Schema 2020-12 of what a record is made from." + CODE
    )

    def collection_for(self, name: str) -> str:
        """The collection of the model called `name`."""
        return self.collection or snake_case(name)


class ParameterSpec(Spec):
    """A parameter of an operation that is not a model: a value that a run is given."""

    nullable = frozenset({"default"})

    json_schema: JsonSchema = Field(
        default={},
        alias="schema",
        description="JSON Schema 2020-12 of the value." + CODE,
        examples=[{"type": "string"}, {"type": "integer"}],
    )
    default: Any = Field(default=None, description="The value where a run gives none; without it a run must." + CODE)
    description: str | None = Field(default=None, description="What the value means, in a sentence." + CODE)
    argument: Identifier | None = Field(
        default=None,
        description="The function's argument whose object this value is a field of (see `parameter_objects`)." + CODE,
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


#: Modes by name.
NamedMode = Annotated[Mode, Field(strict=False), WithJsonSchema({"type": "string", "enum": [mode.value for mode in Mode]})]


class InputSpec(Spec):
    """An input of an operation: which model, from which operations, one or many."""

    model: ModelName = Field(description="The model of the records that come in." + CODE, examples=["RawJob"])
    mode: NamedMode | None = Field(
        default=None,
        description="How records come into the parameter, as the annotation has it. `one`, the default: the record that its "
        "producer makes. `each`: the operation runs once per record, after all producers are done, and what it returns becomes "
        "many. `all`: one list, ordered by producer, then as produced. `keyed`: a mapping from each producer's name to what it "
        "made. `previous`: what the last successful run stored; the operation waits for no producer." + CODE,
    )
    sources: list[OperationName] | None = Field(
        default=None,
        alias="from",
        description="The operations whose outputs come in." + LOCK,
        examples=[["scraping.linkedin.fetch", "scraping.stepstone.fetch"]],
    )
    many: bool | None = Field(
        default=None,
        description="In the modes `keyed` and `previous`: a list instead of one record; false where unset." + CODE,
    )
    optional: bool | None = Field(
        default=None, description="Whether None comes in where nothing comes; false where unset." + CODE
    )
    select: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None,
        description="Globs over names of operations that choose the producers; a `.` at the start means the operation's own "
        "flow." + CODE,
        examples=[["scraping.*.fetch"]],
    )


class OutputSpec(Spec):
    """An output of an operation."""

    model: ModelName = Field(description="The model of the records that come out." + CODE, examples=["CleanJob"])
    many: bool | None = Field(default=None, description="Whether a list of records is returned; false where unset." + CODE)
    optional: bool | None = Field(
        default=None, description="Whether None may be returned, which is no record; false where unset." + CODE
    )


class CacheSpec(Spec):
    """Reuse of an operation's earlier outputs for the same inputs and parameters."""

    ttl: Seconds | None = Field(
        default=None,
        gt=0,
        title="Time to live",
        description="Seconds that an output may be reused for; for ever where unset.",
        examples=[3600],
    )


class OperationSettings(Spec):
    """What `@operation` gives a default for and the file overrides."""

    description: str | None = Field(default=None, description="What the operation does, in a sentence." + SETTING)
    category: str | None = Field(default=None, description="A word to group operations by in lists." + SETTING)
    version: str | None = Field(
        default=None,
        description="Your word for the version of the function, in quotes; a new one makes the cache forget." + SETTING,
        examples=["2"],
    )
    tags: list[str] | None = Field(
        default=None, description="Words to select by, as `tag:nightly`." + SETTING, examples=[["nightly"]]
    )
    retries: Count | None = Field(
        default=None, description="How often a call that failed is tried again; 0 where unset." + SETTING, examples=[3]
    )
    retry_delay: Seconds | None = Field(
        default=None,
        ge=0,
        description="Seconds before the first retry, doubled before each one after it; 1 where unset." + SETTING,
        examples=[10],
    )
    timeout: Seconds | None = Field(
        default=None, gt=0, description="Seconds that one call may take; without end where unset." + SETTING, examples=[60]
    )
    concurrency: PositiveCount | None = Field(
        default=None,
        description="How many calls of the operation run at the same time in the mode `each`." + SETTING,
        examples=[8],
    )
    on_error: Literal["fail", "skip"] | None = Field(
        default=None,
        description="What happens when a call failed after all retries: `fail`, the default, fails the operation, and what waits "
        "for it is skipped; `skip` goes on without the record of this call." + SETTING,
    )
    cache: CacheSpec | None = Field(
        default=None, description="Reuse of earlier outputs; off where unset." + SETTING, examples=[{"ttl": 3600}]
    )
    after: list[OperationName] | None = Field(
        default=None,
        description="Operations that have to be done first, without data from them." + SETTING,
        examples=[["setup.tables"]],
    )


class OperationSpec(OperationSettings):
    """An operation: the user's function, what goes in and what comes out."""

    entrypoint: Entrypoint = Field(
        description="Where the function is: `package.module:function`." + CODE, examples=["jobs.operations:clean"]
    )
    origin: Literal["manifest"] | None = Field(
        default=None,
        description="Says that the operation is written by hand here: the whole entry is yours, no decorator stands behind it.",
    )
    orphaned: bool | None = Field(
        default=None,
        description="The operation left the code but its entry has hand edits; `pulpo lock --prune` drops it." + LOCK,
    )
    is_async: bool = Field(default=False, alias="async", description="Whether the function is `async def`." + CODE)
    parameters: dict[Identifier, ParameterSpec] = Field(
        default={},
        description="The function's parameters that are no models: values that a run is given, by name." + CODE,
        examples=[{"keywords": {"schema": {"type": "string"}, "default": "python"}}],
    )
    parameter_objects: dict[Identifier, Entrypoint] | None = Field(
        default=None,
        description="Arguments that are built from parameters: the argument's name, and its class as "
        "`package.module:Class`." + CODE,
        examples=[{"options": "jobs.options:Options"}],
    )
    inputs: dict[Identifier, InputSpec] = Field(
        default={},
        description="The function's parameters that are models, by name." + CODE,
        examples=[{"raw": {"model": "RawJob", "mode": "each"}}],
    )
    outputs: list[OutputSpec] = Field(
        default=[],
        description="What the function returns: one item for a model or a list of it, several for a tuple." + CODE,
        examples=[[{"model": "CleanJob"}]],
    )
    models_in: list[ModelName] | None = Field(
        default=None, description="Models that the function reads from the store by itself." + CODE, examples=[["RawJob"]]
    )
    models_out: list[ModelName] | None = Field(
        default=None, description="Models that the function writes to the store by itself." + CODE, examples=[["RawJob"]]
    )


class ProjectOverlay(Spec):
    """What differs in one environment about the project itself."""

    mode: Literal["local", "docker"] | None = Field(
        default=None,
        description="How services run in this environment: `local`, as processes on this machine; `docker`, as containers, by "
        "Docker Compose; as in `project.mode` where unset." + YOURS,
    )
    docker: DockerSpec | None = Field(
        default=None, description="How services run as containers in this environment." + YOURS, examples=[{"context": "prod"}]
    )


class EnvironmentSpec(Spec):
    """An overlay: what differs in one environment.

    With `--env NAME` it is merged into the rest of the manifest: mappings key by key; other values, lists as well, take the
    place of those below. What the code owns is the same in all environments.
    """

    project: ProjectOverlay | None = Field(default=None, description="What differs about the project itself." + YOURS)
    models: dict[ModelName, ModelSettings] | None = Field(
        default=None,
        description="Settings of models that differ, by the model's name." + YOURS,
        examples=[{"RawJob": {"collection": "raw_jobs_staging"}}],
    )
    operations: dict[OperationName, OperationSettings] | None = Field(
        default=None,
        description="Settings of operations that differ, by the operation's name." + YOURS,
        examples=[{"scraping.stepstone.fetch": {"retries": 5}}],
    )
    flows: dict[OperationName, FlowSettings] | None = Field(
        default=None,
        description="Settings of flows that differ, by the flow's name. A schedule that says when by one of cron, interval and "
        "rrule takes the place of one that says it by another." + YOURS,
        examples=[{"scraping": {"schedule": {"paused": True}}}],
    )
    services: dict[str, ServiceSpec] | None = Field(
        default=None,
        description="Services that differ, by name, and those that only this environment has." + YOURS,
        examples=[{"db": {"uri": "${MONGO_URL}"}}],
    )


class DeclaredSpec(Spec):
    """What the decorators said at the last lock: the base that tells a hand edit from a change of the code."""

    models: dict[ModelName, dict[str, Any]] = Field(
        default={}, description="The settings that the code gave each model at the last lock." + LOCK
    )
    operations: dict[OperationName, dict[str, Any]] = Field(
        default={}, description="The settings that the code gave each operation at the last lock." + LOCK
    )


class Manifest(Spec):
    """The manifest of a Pulpo project, `pulpo.lock.yaml`: made by `pulpo lock` from the code, and edited by people."""

    version: Annotated[Literal[1], BeforeValidator(integral)] = Field(description="The version of the manifest's format." + LOCK)
    project: ProjectSpec = Field(description="The project: its name, where its code is, how its services run.")
    models: dict[ModelName, ModelSpec] = Field(
        default={}, description="The declared data models, by the name of their class. `pulpo lock` adds and removes entries."
    )
    operations: dict[OperationName, OperationSpec] = Field(
        default={},
        description="The operations, by dotted name. `pulpo lock` adds and removes entries, but those with `origin: manifest`.",
    )
    flows: dict[OperationName, FlowSpec] = Field(
        default={},
        description="Settings of flows, by dotted name; `pipeline` is all of them together." + YOURS,
    )
    services: dict[str, ServiceSpec] = Field(
        default={},
        description="The services around the pipeline, by name." + YOURS,
    )
    environments: dict[str, EnvironmentSpec] = Field(
        default={},
        description="Overlays, by name: what differs with `--env NAME`." + YOURS,
    )
    declared: DeclaredSpec | None = Field(
        default=None,
        description="What the decorators said at the last lock, so that your edits show as yours. Not for editing." + LOCK,
    )

    def in_order(self) -> Manifest:
        """The same with its operations by name, as `pulpo lock` writes them: the order of entries in the file means nothing."""
        return self.model_copy(update={"operations": dict(sorted(self.operations.items()))})

    @property
    def live_operations(self) -> dict[str, OperationSpec]:
        """The operations without those that left the code."""
        return {name: spec for name, spec in self.operations.items() if not spec.orphaned}


#: Fields of a model's entry that the decorator gives a default for and the file overrides.
MODEL_SETTINGS: tuple[str, ...] = tuple(ModelSettings.model_fields)
#: Fields of an operation's entry that the decorator gives a default for and the file overrides.
OPERATION_SETTINGS: tuple[str, ...] = tuple(OperationSettings.model_fields)
