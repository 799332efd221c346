"""What an annotation says: a model, one or many of them, or a plain parameter."""

from __future__ import annotations

import collections.abc
import dataclasses
import re
import types
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from pulpo.declare.decorators import From, PreviousMarker
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    #: Declared classes and their models' names.
    Models = Mapping[type, str]

_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_MAPPINGS = (dict, collections.abc.Mapping)


class AnnotationProblem(Exception):  # noqa: N818 - not an error of the program: a finding about the user's code
    """An annotation that has a declared model in a place where Pulpo can't use it."""

    def __init__(self, message: str, *, code: str = "PLP110", hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Shape:
    """How an annotation takes or gives a model."""

    model: str
    #: `single` is `M`, `list` is `list[M]`, `dict` is `dict[str, M]`.
    container: typing.Literal["single", "list", "dict"] = "single"
    #: `dict[str, list[M]]`, `Previous[list[M]]`.
    many: bool = False
    optional: bool = False
    previous: bool = False
    select: tuple[str, ...] = ()


def read_annotation(annotation: object, models: Models) -> Shape | None:
    """The shape of an annotation in which a declared model stands, or None for any other.

    Raises:
        AnnotationProblem: A declared model stands in it in a way that says nothing Pulpo knows.
    """
    core, metadata, optional = _unwrap(annotation)
    if any(
        item is From or (isinstance(item, From) and not all(isinstance(p, str) and p for p in item.patterns or [None]))
        for item in metadata
    ):
        raise AnnotationProblem("From needs patterns", hint='write From("scraping.stepstone.*")')
    select = tuple(pattern for item in metadata if isinstance(item, From) for pattern in item.patterns)
    previous = any(isinstance(item, PreviousMarker) for item in metadata)
    shape = _shape(core, models)
    if shape is None:
        if select or previous:
            word = "Previous" if previous else "From"
            raise AnnotationProblem(
                f"{word} is about a declared model, which {_text(core)} is not",
                code="PLP115",
                hint="decorate the class with @datamodel",
            )
        return None
    if previous:
        if shape.container == "dict" or select:
            raise AnnotationProblem(
                "Previous takes a model or a list of one", hint="Previous[M], Previous[list[M]] or Previous[M] | None"
            )
        return dataclasses.replace(shape, previous=True, optional=optional, container="single", many=shape.container == "list")
    return dataclasses.replace(shape, optional=optional, select=select)


def _unwrap(annotation: object) -> tuple[object, list[object], bool]:
    """The annotation without `Annotated` and `| None`, what `Annotated` carried, and whether None is allowed."""
    metadata: list[object] = []
    optional = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            metadata += more
        elif origin in (Union, types.UnionType) and type(None) in get_args(annotation):
            rest = tuple(a for a in get_args(annotation) if a is not type(None))
            optional = True
            if len(rest) != 1:
                return Union[rest], metadata, True  # noqa: UP007 - built at run time
            annotation = rest[0]
        else:
            return annotation, metadata, optional


def _shape(core: object, models: Models) -> Shape | None:
    if (name := _model(core, models)) is not None:
        return Shape(name)
    origin, args = get_origin(core), get_args(core)
    if origin in _LISTS and len(args) == 1 and (name := _model(args[0], models)) is not None:
        return Shape(name, "list")
    if origin in _MAPPINGS and len(args) == 2 and args[0] is str:  # noqa: PLR2004
        if (name := _model(args[1], models)) is not None:
            return Shape(name, "dict")
        inner = get_args(args[1])
        if get_origin(args[1]) in _LISTS and len(inner) == 1 and (name := _model(inner[0], models)) is not None:
            return Shape(name, "dict", many=True)
    if (name := mentioned_model(core, models)) is not None:
        raise AnnotationProblem(
            f"{_text(core)} is not a way in which Pulpo can pass {name}",
            hint=f"use {name}, list[{name}], dict[str, {name}], dict[str, list[{name}]] or {name} | None",
        )
    if isinstance(core, TypeVar):
        raise AnnotationProblem(f"{core} is a TypeVar, which names no type", hint="write the concrete type")
    return None


def _model(annotation: object, models: Models) -> str | None:
    """The name of the model that an annotation is, by exact class."""
    if not isinstance(annotation, type):
        return None
    if annotation in models:
        return models[annotation]
    for base in annotation.__mro__[1:]:
        if base in models:
            raise AnnotationProblem(
                f"{annotation.__name__} is not declared; its base {models[base]} is, but models match by exact class",
                code="PLP115",
                hint=f"decorate {annotation.__name__} with @datamodel, or use {base.__name__}",
            )
    return None


def mentioned_model(annotation: object, models: Models) -> str | None:
    """The name of a declared model that stands anywhere in an annotation."""
    if isinstance(annotation, type) and annotation in models:
        return models[annotation]
    return next((name for arg in get_args(annotation) if (name := mentioned_model(arg, models)) is not None), None)


def is_record_class(annotation: object) -> bool:
    """Whether something looks like a class that could have been declared: a pydantic model or a dataclass."""
    return isinstance(annotation, type) and (is_pydantic(annotation) or dataclasses.is_dataclass(annotation))


def is_pydantic(target: object) -> bool:
    """Whether something is a pydantic model, other than `BaseModel` itself, which means nothing."""
    return isinstance(target, type) and hasattr(target, "model_fields") and target.__module__ != "pydantic.main"


def _text(annotation: object) -> str:
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def near_name(why: str, function: object) -> str | None:
    """What was meant by the undefined name that an annotation could not be resolved for, told by the module's names."""
    undefined = re.search(r"name '(\w+)' is not defined", why)
    return did_you_mean(undefined[1], getattr(function, "__globals__", ())) if undefined else None


def hints_of(target: Any, names: list[str]) -> tuple[dict[str, object], dict[str, str]]:
    """The resolved annotations of a callable by parameter (and `return`), and for those that fail why."""
    annotations = dict(getattr(target, "__annotations__", {}))
    try:
        return typing.get_type_hints(target, include_extras=True), {}
    except Exception:  # noqa: BLE001 - evaluating an annotation runs user code; which one fails is found below
        hints: dict[str, object] = {}
        failed: dict[str, str] = {}
    for name in names:
        if name in annotations:
            try:
                one = types.SimpleNamespace(__annotations__={name: annotations[name]}, __wrapped__=target)
                hints |= typing.get_type_hints(one, globalns=getattr(target, "__globals__", {}), include_extras=True)
            except Exception as error:  # noqa: BLE001
                failed[name] = f"{type(error).__name__}: {error}"
    return hints, failed
