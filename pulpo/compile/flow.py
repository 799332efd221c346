"""A compiled flow: everything decided, nothing left to look up.

Engines and generators work from these alone. All tuples are in a fixed order (said per field), so the same manifest
always compiles to equal values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pulpo.manifest.model import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Required:
    """The default of a parameter that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = Required()


@dataclass(frozen=True, slots=True)
class Argument:
    """An input of a step: which records come in, from which steps."""

    name: str
    model: str
    mode: Mode
    #: Steps of this flow that the records come from, sorted by name; empty where they come from outside.
    sources: tuple[str, ...]
    #: Operations that the lock names as producers, sorted, whether in this flow or not: where outside records are looked for.
    producers: tuple[str, ...]
    #: In the modes keyed and previous: a list instead of one record.
    many: bool = False
    #: None comes in where nothing comes.
    optional: bool = False

    @property
    def from_outside(self) -> bool:
        """Whether no step of the flow produces the records."""
        return not self.sources


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a step."""

    model: str
    many: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of one operation."""

    name: str
    schema: Mapping[str, Any]
    #: The value when none is given, or REQUIRED.
    default: object = REQUIRED
    #: The argument whose object this is a field of (see `Step.parameter_objects`).
    argument: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How a step is called. Unset is None; what unset means is the engine's business, and documented in the manifest."""

    retries: int | None = None
    retry_delay: float | None = None
    timeout: float | None = None
    concurrency: int | None = None
    on_error: str | None = None
    cache_ttl: float | None = None
    cached: bool = False
    version: str | None = None
    tags: tuple[str, ...] = ()

    def delays(self) -> Iterator[float]:
        """Seconds before each retry: `retry_delay`, by default 1, doubled each time."""
        delay = 1.0 if self.retry_delay is None else self.retry_delay
        for _ in range(self.retries or 0):
            yield delay
            delay *= 2


@dataclass(frozen=True, slots=True)
class Step:
    """An operation's place in a flow."""

    operation: str
    entrypoint: str
    is_async: bool
    #: In the order of the function's signature.
    arguments: tuple[Argument, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    #: Arguments that are built from parameters: (argument, entrypoint of its class).
    parameter_objects: tuple[tuple[str, str], ...] = ()
    #: In the order of the returned tuple.
    outputs: tuple[Output, ...] = ()
    #: All steps of this flow that have to be done before, sorted: the sources of its arguments and those without data.
    after: tuple[str, ...] = ()
    #: Models that the function reads, and writes, through the store by itself.
    models_in: tuple[str, ...] = ()
    models_out: tuple[str, ...] = ()
    settings: Settings = Settings()

    @property
    def mapped(self) -> Argument | None:
        """The argument that makes the operation run once per record, if one does."""
        return next((a for a in self.arguments if a.mode is Mode.EACH), None)


@dataclass(frozen=True, slots=True)
class FlowParameter:
    """A parameter of a flow: one value for all of its targets."""

    #: `limit`, or with as much of the operation's name as makes it unique: `fetch.limit`.
    name: str
    #: (operation, parameter) pairs that take the value, sorted.
    targets: tuple[tuple[str, str], ...]
    schema: Mapping[str, Any]
    default: object = REQUIRED
    description: str | None = None

    @property
    def required(self) -> bool:
        """Whether a run has to be given a value."""
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class FlowDefinition:
    """A flow, with its subflows, ready to run or to print."""

    name: str
    #: Steps and subflows in an order in which they can run one after the other.
    members: tuple[Step | FlowDefinition, ...]
    parameters: tuple[FlowParameter, ...] = ()
    #: Which part this is, from 1, of a flow that was split because grouping made a cycle; else None.
    segment: int | None = None
    #: A flow that Pulpo made for one operation without a dot.
    standalone: bool = False
    #: Names of all operations in it, subflows included, in an order in which they can run.
    operations: tuple[str, ...] = ()
    #: For each operation the operations of this flow that it waits for, sorted.
    dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def function(self) -> str:
        """The name of the flow as a Python identifier: `scraping_stepstone_flow`."""
        suffix = "" if self.segment is None else f"_{self.segment}"
        return f"{self.name.replace('.', '_')}_flow{suffix}"

    def steps(self) -> Iterator[Step]:
        """All steps, subflows included, in the order of `operations`."""
        by_name = {step.operation: step for step in _leaves(self)}
        return (by_name[name] for name in self.operations)


def _leaves(flow: FlowDefinition) -> Iterator[Step]:
    for member in flow.members:
        if isinstance(member, FlowDefinition):
            yield from _leaves(member)
        else:
            yield member


@dataclass(frozen=True, slots=True)
class Orchestration:
    """All flows of a project, sorted by name: roots, nested ones, standalones and `pipeline`."""

    flows: tuple[FlowDefinition, ...]

    def get(self, name: str) -> FlowDefinition | None:
        """The flow of that name."""
        return next((flow for flow in self.flows if flow.name == name), None)
