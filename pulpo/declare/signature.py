"""From a function to what an operation takes and returns."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pulpo.declare.annotations import (
    AnnotationProblem,
    Shape,
    hints_of,
    is_pydantic,
    is_record_class,
    mentioned_model,
    near_name,
    read_annotation,
)
from pulpo.declare.json_schema import default_value, fields_of, schema_of
from pulpo.diagnostics import Diagnostic, Severity
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from pulpo.declare.annotations import Models
    from pulpo.declare.registry import OperationDeclaration
    from pulpo.diagnostics import Path

_UNKNOWN = inspect.Parameter.empty
_NOTHING: tuple[object, ...] = (None, type(None))
#: Beginnings of the paths of places that the manifest has no word for: an argument of the decorator, the return annotation.
DECORATOR = "@"
RETURNED = "->"
#: The class or function that is declared.
_ITSELF: Path = ("entrypoint",)


@dataclass(slots=True)
class Signature:
    """What an operation takes and returns, as manifest data, and the problems found on the way."""

    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Arguments built from parameters, and their classes.
    objects: dict[str, type] = field(default_factory=dict)
    #: Each with the path of its place (see `pulpo.declare.places`).
    problems: list[tuple[Diagnostic, Path]] = field(default_factory=list)

    def problem(
        self, code: str, message: str, *path: str, at: Path, hint: str | None = None, severity: Severity = Severity.ERROR
    ) -> None:
        """Note a problem at a path below the operation, and what of the code it is `at`."""
        self.problems.append((Diagnostic(code, message, path, severity=severity, hint=hint), at))


def callable_of(target: object) -> Any:
    """The function that a call of `target` runs: below partials, static and bound methods and callable instances."""
    while True:
        if isinstance(target, functools.partial):
            target = target.func
        elif isinstance(target, staticmethod | types.MethodType):
            target = target.__func__
        elif not inspect.isroutine(target) and not isinstance(target, type) and callable(target):
            target = type(target).__call__
        else:
            return target


def is_async(target: object) -> bool:
    """Whether calling `target` gives something to await."""
    return inspect.iscoroutinefunction(callable_of(target))


def read_signature(declaration: OperationDeclaration, models: Models) -> Signature:
    """What the declared function takes and returns; all problems are in `problems`, with paths below the operation."""
    result = Signature()
    target = declaration.target
    function = callable_of(target)
    called = target.__func__ if isinstance(target, staticmethod) else target
    try:
        if not _usable(target, function, result):
            return result
        parameters = list(inspect.signature(called).parameters.values())
    except Exception as error:  # noqa: BLE001 - of a wrapper that wraps itself, or a signature of the user's own
        result.problem("PLP110", f"its signature can't be read: {error}", at=_ITSELF)
        return result
    hints, failed = hints_of(function, [*(p.name for p in parameters), "return"])
    for name, why in failed.items():
        where, at = (("outputs",), (RETURNED,)) if name == "return" else (("inputs", name), ("inputs", name, "model"))
        hint = near_name(why, function) or "import or define the name at run time"
        result.problem("PLP112", f"the annotation of {name} can't be resolved: {why}", *where, at=at, hint=hint)
    given = _Given(declaration.inputs, result)
    supplied = given.supply([p.name for p in parameters if p.name not in hints and p.name not in failed])
    for parameter in parameters:
        if parameter.name not in failed:
            annotation = hints.get(parameter.name, supplied.get(parameter.name, _UNKNOWN))
            _read_parameter(parameter, annotation, models, given.objects, result)
    given.agree([p.name for p in parameters], models)
    if "return" not in failed:
        _read_outputs(hints.get("return", _UNKNOWN), declaration.outputs, models, result)
    return result


def _usable(target: Any, function: Any, result: Signature) -> bool:
    if isinstance(target, type):
        result.problem(
            "PLP110", "a class is not an operation: calling it makes an instance",
            at=_ITSELF, hint="decorate an instance, or a function",
        )  # fmt: skip
        return False
    if isinstance(target, classmethod) or not callable(target):
        result.problem("PLP110", f"{type(target).__name__} is not a function", at=_ITSELF, hint="decorate a function")
        return False
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        hint = "collect what it yields and return list[M]"
        result.problem("PLP110", "a generator can't be an operation", at=_ITSELF, hint=hint)
        return False
    if not hasattr(function, "__code__") and not hasattr(function, "__wrapped__"):
        result.problem("PLP110", f"{function!r} has no signature in Python", at=_ITSELF, hint="wrap it in a function of your own")
        return False
    if inspect.isfunction(target) and "." in target.__qualname__ and "<locals>" not in target.__qualname__:
        first = next(iter(inspect.signature(target).parameters), None)
        if first in ("self", "cls"):
            result.problem(
                "PLP110", f"a method needs an instance: {target.__qualname__}",
                at=_ITSELF, hint="decorate a function of the module",
            )  # fmt: skip
            return False
    return True


class _Given:
    """What the decorator's `inputs=` says."""

    def __init__(self, inputs: object, result: Signature) -> None:
        self.result = result
        self.by_name: dict[str, object] = {}
        self.listed: list[object] = []
        if isinstance(inputs, Mapping):
            self.by_name = {str(k): v for k, v in inputs.items()}
        elif isinstance(inputs, Sequence) and not isinstance(inputs, str):
            self.listed = [i for i in inputs if not _means_nothing(i)]
        elif not _means_nothing(inputs):
            self.listed = [inputs]
        self.objects: set[type] = set()

    def supply(self, unannotated: list[str]) -> dict[str, object]:
        """Annotations for parameters that have none; sets `objects`."""
        for annotation in [*self.listed, *self.by_name.values()]:
            if is_pydantic(annotation):
                self.objects.add(annotation)  # type: ignore[arg-type]
        if len(self.listed) == 1:
            return {**dict.fromkeys(unannotated, self.listed[0]), **self.by_name}
        if self.listed and unannotated:
            if len(unannotated) == len(self.listed):
                return dict(zip(unannotated, self.listed, strict=True))
            self.result.problem(
                "PLP113",
                f"inputs= names {len(self.listed)} types, but without annotation are: {', '.join(unannotated)}",
                "inputs",
                at=(DECORATOR, "inputs"),
                hint="annotate the parameters, or give inputs= as a mapping by parameter",
            )
        return dict(self.by_name)

    def agree(self, names: list[str], models: Models) -> None:
        """Note where `inputs=` and what was read from the parameters differ."""
        result = self.result
        for name in self.by_name:
            if name not in names:
                hint = did_you_mean(name, names)
                result.problem(
                    "PLP113", f"inputs= names a parameter that the function does not have: {name}",
                    "inputs", at=(DECORATOR, "inputs", name), hint=hint,
                )  # fmt: skip
            elif (says := _shape_or_none(self.by_name[name], models)) and says.model != result.inputs.get(name, {}).get("model"):
                message = f"inputs= says {says.model} for {name}, its annotation something else"
                result.problem("PLP113", message, "inputs", name, at=(DECORATOR, "inputs", name))
        said = {shape.model for a in self.listed if (shape := _shape_or_none(a, models))}
        read = {spec["model"] for spec in result.inputs.values()}
        if said and said != read and not result.problems:
            message = f"inputs= says {_listed(said)}, the annotations say {_listed(read) or 'no model'}"
            result.problem("PLP113", message, "inputs", at=(DECORATOR, "inputs"))
        for index, annotation in enumerate(self.listed):
            if is_pydantic(annotation) and annotation not in models and annotation not in result.objects.values():
                name = getattr(annotation, "__name__", str(annotation))
                message, hint = f"inputs= names {name}, but no parameter takes it", f"add a parameter annotated with {name}"
                result.problem("PLP113", message, "inputs", at=(DECORATOR, "inputs", index), hint=hint)


def _means_nothing(annotation: object) -> bool:
    return annotation is None or (isinstance(annotation, type) and annotation.__module__ == "pydantic.main")


def _shape_or_none(annotation: object, models: Models) -> Shape | None:
    try:
        return read_annotation(annotation, models)
    except AnnotationProblem:
        return None  # reported where the parameter is read


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _read_parameter(
    parameter: inspect.Parameter, annotation: object, models: Models, objects: set[type], result: Signature
) -> None:
    name = parameter.name
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
        kind = parameter.kind.description
        result.problem(
            "PLP110", f"an operation is called by name, which a {kind} parameter does not allow: {name}",
            "parameters", name, at=("parameters", name),
        )  # fmt: skip
        return
    try:
        shape = read_annotation(annotation, models)
    except AnnotationProblem as problem:
        result.problem(problem.code, problem.message, "inputs", name, at=("inputs", name, "model"), hint=problem.hint)
        return
    if shape is not None:
        _read_input(parameter, shape, result)
    elif isinstance(annotation, type) and annotation in objects:
        _read_object(name, annotation, result)
    else:
        if is_record_class(annotation):
            result.problem(
                "PLP115",
                f"{annotation.__name__} is not declared, so {name} is a parameter of the run",  # type: ignore[attr-defined]
                "parameters", name, at=("parameters", name, "schema"), severity=Severity.WARNING,
                hint="decorate the class with @datamodel if its records flow in",
            )  # fmt: skip
        _add_parameter(name, _parameter(parameter, annotation, result), result)


def _read_input(parameter: inspect.Parameter, shape: Shape, result: Signature) -> None:
    name = parameter.name
    spec: dict[str, Any] = {"model": shape.model}
    if shape.previous:
        spec["mode"] = "previous"
    elif shape.container != "single":
        spec["mode"] = {"list": "all", "dict": "keyed"}[shape.container]
    if shape.many:
        spec["many"] = True
    if parameter.default not in (_UNKNOWN, None):
        message = f"the default of an input can only be None: {name}"
        result.problem("PLP110", message, "inputs", name, at=("inputs", name, "default"))
    if shape.optional or parameter.default is None:
        spec["optional"] = True
    if shape.select:
        spec["select"] = list(shape.select)
    result.inputs[name] = spec


def _read_object(argument: str, cls: type, result: Signature) -> None:
    try:
        fields = fields_of(cls)
    except Exception as error:  # noqa: BLE001 - of the user's own hooks and factories
        at = ("parameters", argument, "schema")
        result.problem("PLP110", f"{cls.__name__} can't be read: {error}", "parameters", argument, at=at)
        return
    result.objects[argument] = cls
    for name, spec in fields.items():
        _add_parameter(name, {**spec, "argument": argument}, result)


def _add_parameter(name: str, spec: dict[str, Any], result: Signature) -> None:
    if name in result.parameters:
        at = ("parameters", name)
        result.problem("PLP110", f"two parameters are called {name}", "parameters", name, at=at, hint="rename a field")
    result.parameters[name] = spec


def _parameter(parameter: inspect.Parameter, annotation: object, result: Signature) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    path = ("parameters", parameter.name)
    try:
        spec["schema"] = {} if annotation is _UNKNOWN else schema_of(annotation)
    except (TypeError, ValueError) as error:
        result.problem(
            "PLP110", f"a value for {parameter.name} can't be described: {error}",
            *path, at=(*path, "schema"), hint="use a type that pydantic knows",
        )  # fmt: skip
    if parameter.default is not _UNKNOWN:
        try:
            spec["default"] = default_value(parameter.default)
        except ValueError as error:
            message = f"the default of {parameter.name} can't be written down: {error}"
            result.problem("PLP110", message, *path, at=(*path, "default"))
    return spec


def _read_outputs(annotation: object, declared: object, models: Models, result: Signature) -> None:
    restated = None if _means_nothing(declared) else _outputs(declared, models, result, (DECORATOR, "outputs"))
    read = None if annotation is _UNKNOWN else _outputs(annotation, models, result, (RETURNED,))
    if read is None and restated is None and not result.problems:
        result.problem(
            "PLP110", "the return annotation is missing, so nothing flows on", "outputs", at=_ITSELF,
            severity=Severity.WARNING, hint="annotate it: `-> M`, `-> list[M]` or `-> None`",
        )  # fmt: skip
    if read is not None and restated is not None and not _restates(restated, read):
        names = [", ".join(o["model"] for o in outputs) or "nothing" for outputs in (restated, read)]
        message = f"outputs= says {names[0]}, the return annotation says {names[1]}"
        result.problem("PLP113", message, "outputs", at=(DECORATOR, "outputs"), hint="leave one of them out")
    result.outputs = (read if read is not None else restated) or []


def _restates(restated: list[dict[str, Any]], read: list[dict[str, Any]]) -> bool:
    """Whether `outputs=` says the same; naming a bare model is enough where the annotation says how many."""
    if len(restated) != len(read):
        return False
    return all(a["model"] == b["model"] and (len(a) == 1 or a == b) for a, b in zip(restated, read, strict=True))


def _outputs(annotation: object, models: Models, result: Signature, at: Path) -> list[dict[str, Any]]:
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation in _NOTHING:
        return []
    if isinstance(annotation, list | tuple):  # outputs=[A, B]
        parts: Sequence[object] = annotation
    elif origin is tuple and Ellipsis not in args:
        parts = args
    else:
        return list(_each_output([(annotation, at)], models, result))
    return list(_each_output([(part, (*at, index)) for index, part in enumerate(parts)], models, result))


def _each_output(parts: list[tuple[object, Path]], models: Models, result: Signature) -> Iterator[dict[str, Any]]:
    for part, at in parts:
        try:
            shape = read_annotation(part, models)
            if shape is None:
                _no_output(part, models, result, at)
            elif shape.container == "dict" or shape.select or shape.previous:
                raise AnnotationProblem("an operation returns M, list[M], M | None or a tuple of them")  # noqa: TRY301
            else:
                spec: dict[str, Any] = {"model": shape.model}
                if shape.container == "list":
                    spec["many"] = True
                if shape.optional:
                    spec["optional"] = True
                yield spec
        except AnnotationProblem as problem:
            result.problem(problem.code, problem.message, "outputs", at=at, hint=problem.hint)


def _no_output(part: object, models: Models, result: Signature, at: Path) -> None:
    inner = [a for a in get_args(part) if is_record_class(a)]
    name = getattr(inner[0] if inner else part, "__name__", str(part))
    if inner or is_record_class(part):
        message = f"it returns {name}, which is not declared"
        result.problem("PLP115", message, "outputs", at=at, hint=f"decorate {name} with @datamodel")
    elif mentioned_model(part, models) is None:
        result.problem(
            "PLP115", f"it returns {name}, which is no declared model: the value goes nowhere", "outputs", at=at,
            severity=Severity.WARNING, hint="return a declared model, or None",
        )  # fmt: skip


def resolvable_name(target: Callable[..., object] | type, module: str) -> str | None:
    """The dotted name by which `module` has `target`, or None: its qualified name, else a global that is it."""
    import sys

    scope = sys.modules.get(module) or sys.modules.get("__main__")
    found: object = scope
    qualified = getattr(target, "__qualname__", "")
    for part in qualified.split("."):
        found = getattr(found, part, None)
    if qualified and _is_or_wraps(found, target):
        return qualified
    return next((name for name, value in sorted(vars(scope).items()) if _is_or_wraps(value, target)), None) if scope else None


def found_by(target: Callable[..., object], module: str) -> object:
    """What an import of the entrypoint of `target` finds: itself, or a wrapper that another decorator put around it."""
    import sys

    found: object = sys.modules.get(module) or sys.modules.get("__main__")
    for part in (resolvable_name(target, module) or "").split("."):
        found = getattr(found, part, None)
    return target if found is None else found


def _is_or_wraps(found: object, target: object) -> bool:
    """Whether what an import finds is the decorated thing, or a wrapper that another decorator put around it."""
    inner = target.__func__ if isinstance(target, staticmethod | classmethod) else target
    for _ in range(20):  # a wrapper can wrap itself by mistake
        if found is None:
            return False
        if found is target or found is inner:
            return True
        found = getattr(found, "__wrapped__", None)
    return False
