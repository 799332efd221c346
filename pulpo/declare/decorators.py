"""`@datamodel` and `@operation`: they note what they decorate and give it back unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, overload

from pulpo.declare.registry import REGISTRY, ModelDeclaration, OperationDeclaration, caller

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping, Sequence

    Names = str | Sequence[str]
    Seconds = float | dt.timedelta

T = TypeVar("T")
ClassT = TypeVar("ClassT", bound=type)
FunctionT = TypeVar("FunctionT", bound="Callable[..., object]")


class From:
    """Chooses the producers of an input by glob: `raw: Annotated[RawJob, From("scraping.stepstone.*")]`.

    A leading `.` means the operation's own flow: `From(".*")`.
    """

    __slots__ = ("patterns",)

    def __init__(self, *patterns: str | Sequence[str]) -> None:
        self.patterns = tuple(p for given in patterns for p in ([given] if isinstance(given, str) else given))

    def __repr__(self) -> str:
        return f"From({', '.join(map(repr, self.patterns))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, From) and self.patterns == other.patterns

    def __hash__(self) -> int:
        return hash(self.patterns)


@dataclass(frozen=True, slots=True)
class PreviousMarker:
    """In an annotation: what the last successful run stored."""


#: `before: Previous[Report] | None` is what the last successful run stored; it never orders anything.
Previous = Annotated[T, PreviousMarker()]


@overload
def datamodel(target: ClassT, /) -> ClassT: ...
@overload
def datamodel(
    name: str | None = None,
    *,
    description: str | None = None,
    key: Names | None = None,
    collection: str | None = None,
    indexes: Sequence[Names] | None = None,
    tags: Names | None = None,
) -> Callable[[ClassT], ClassT]: ...
def datamodel(
    name: object = None,
    *,
    description: str | None = None,
    key: Names | None = None,
    collection: str | None = None,
    indexes: Sequence[Names] | None = None,
    tags: Names | None = None,
) -> object:
    """Declare a class as a data model: a pydantic model, a Beanie `Document` or a dataclass.

    Args:
        name: The model's name; the class's own where not given.
        description: What a record is; the first line of the docstring where not given.
        key: The fields of the natural key: records that agree in them are one record.
        collection: Where records are stored; the name in snake_case where not given.
        indexes: Indexes of the collection, each a field or a list of fields.
        tags: Words to select by.

    Returns:
        The class itself, unchanged. Mistakes are reported when the project is locked or checked, not here.
    """
    settings = _given(description=description, key=key, collection=collection, indexes=indexes, tags=tags)

    def note(target: ClassT, depth: int, name: str | None) -> ClassT:
        module, place = caller(depth)
        own_name = getattr(target, "__name__", "")
        REGISTRY.models.append(ModelDeclaration(own_name if name is None else str(name), target, module, place, settings))
        return target

    if callable(name):  # used without parentheses
        return note(name, 2, None)  # type: ignore[type-var]
    return lambda target: note(target, 2, name)  # type: ignore[arg-type]


@overload
def operation(target: FunctionT, /) -> FunctionT: ...
@overload
def operation(
    name: str | None = None,
    *,
    description: str | None = None,
    inputs: object = None,
    outputs: object = None,
    models_in: object = None,
    models_out: object = None,
    after: Names | None = None,
    retries: int | None = None,
    retry_delay: Seconds | None = None,
    timeout: Seconds | None = None,
    cache: bool | Seconds | Mapping[str, float] | None = None,
    concurrency: int | None = None,
    on_error: str | None = None,
    tags: Names | None = None,
    category: str | None = None,
    version: str | int | None = None,
    previously: Names | None = None,
) -> Callable[[FunctionT], FunctionT]: ...
def operation(
    name: object = None,
    *,
    description: str | None = None,
    inputs: object = None,
    outputs: object = None,
    models_in: object = None,
    models_out: object = None,
    after: Names | None = None,
    retries: int | None = None,
    retry_delay: Seconds | None = None,
    timeout: Seconds | None = None,
    cache: bool | Seconds | Mapping[str, float] | None = None,
    concurrency: int | None = None,
    on_error: str | None = None,
    tags: Names | None = None,
    category: str | None = None,
    version: str | int | None = None,
    previously: Names | None = None,
) -> object:
    """Declare a function, sync or async, as an operation. What it takes and returns is read from its annotations.

    Args:
        name: Dotted: `scraping.stepstone.fetch` is a step of the flow `scraping.stepstone`; the function's own where not given.
        description: What it does; the first line of the docstring where not given.
        inputs: Models that it takes, where annotations do not say it (a class, a list in the order of the parameters, or a
            mapping by parameter); a pydantic model that is not declared gives its fields as parameters.
        outputs: Models that it returns, where the annotation does not say it.
        models_in: Models that it reads from the store by itself: an order without values.
        models_out: Models that it writes to the store by itself.
        after: Operations or flows that have to be done first, without data from them.
        retries: How often a failed call is tried again.
        retry_delay: Seconds before the first retry, doubled before each one after it.
        timeout: Seconds that one call may take.
        cache: Reuse outputs for the same inputs: True, or for how many seconds.
        concurrency: How many calls run at the same time.
        on_error: `fail`, or `skip` to go on without the record.
        tags: Words to select by.
        category: A word to group by in lists.
        version: Your word for the version of the function; part of the cache's key.
        previously: Earlier names: edits of the manifest follow a rename.

    Returns:
        The function itself, unchanged. Mistakes are reported when the project is locked or checked, not here.
    """
    settings = _given(
        description=description, after=after, retries=retries, retry_delay=retry_delay, timeout=timeout, cache=cache,
        concurrency=concurrency, on_error=on_error, tags=tags, category=category, version=version,
    )  # fmt: skip

    def note(target: Any, depth: int, name: str | None) -> object:
        module, place = caller(depth)
        own_name = getattr(target, "__name__", "")
        REGISTRY.operations.append(
            OperationDeclaration(
                own_name if name is None else name,
                target,
                module,
                place,
                settings,
                inputs,
                outputs,
                models_in,
                models_out,
                previously,
            )
        )
        return target

    if name is not None and not isinstance(name, str) and (callable(name) or isinstance(name, staticmethod | classmethod)):
        return note(name, 2, None)  # used without parentheses
    return lambda target: note(target, 2, name)  # type: ignore[arg-type]


def _given(**settings: object) -> dict[str, object]:
    return {key: value for key, value in settings.items() if value is not None}
