"""From the values that a run was given to the arguments of each function."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pulpo.compile.flow import REQUIRED, FlowDefinition, Parameter, Step
from pulpo.declare.entrypoint import resolve
from pulpo.errors import PulpoError, UsageError
from pulpo.names import did_you_mean

#: Values by operation and parameter.
Assigned = dict[str, dict[str, object]]


def assign(flow: FlowDefinition, given: Mapping[str, object]) -> Assigned:
    """Which parameter of which operation takes which of the values given.

    A name is one of the flow's parameters, or a parameter with as much of its operation's name as makes it unique
    (`fetch.limit`); the longer name wins over the flow's.

    Raises:
        UsageError: A name is unknown or fits several parameters.
    """
    assigned: Assigned = {}
    if not given:
        return assigned
    named = {parameter.name: parameter.targets for parameter in flow.parameters}
    targets = sorted({(step.operation, parameter.name) for step in flow.steps() for parameter in step.parameters})
    for name, value in sorted(given.items(), key=lambda item: (item[0] not in named, item[0])):
        for operation, parameter in named.get(name) or [_by_suffix(name, targets, named, flow.name)]:
            assigned.setdefault(operation, {})[parameter] = value
    return assigned


def _by_suffix(name: str, targets: Iterable[tuple[str, str]], named: Iterable[str], flow: str) -> tuple[str, str]:
    full = {f"{operation}.{parameter}": (operation, parameter) for operation, parameter in targets}
    found = [path for path in full if path == name or ("." in name and path.endswith(f".{name}"))]
    if name in full:
        found = [name]
    if not found:
        known = [*named, *full, *(path.split(".", path.count(".") - 1)[-1] for path in full)]
        hint = did_you_mean(name, known)
        raise UsageError(f"{flow} has no such parameter: {name!r}", hint=hint or _listing(named))
    if len(found) > 1:
        raise UsageError(f"several parameters have this name: {name!r}", hint=f"say which: {', '.join(sorted(found))}")
    return full[found[0]]


def _listing(names: Iterable[str]) -> str:
    listed = ", ".join(sorted(names))
    return f"it has: {listed}" if listed else "it has none"


def arguments(
    functions: Mapping[str, Callable[..., Any]], steps: Iterable[Step], assigned: Assigned, names: Mapping[tuple[str, str], str]
) -> Assigned:
    """The arguments that are no records, by operation and name: values made to fit the function's own annotations.

    A parameter without a value is left to the function's default, or takes the manifest's where the function has none. `names`
    has the flow's own name of each operation's parameter.

    Raises:
        UsageError: Values are missing or do not fit; all of them are in the one message.
    """
    problems: list[str] = []
    missing: list[tuple[str, str]] = []
    result: Assigned = {}
    for step in steps:
        if not step.parameters and not step.parameter_objects:
            result[step.operation] = {}
            continue
        values = assigned.get(step.operation, {})
        signature = inspect.signature(functions[step.operation])
        missing += [(step.operation, p.name) for p in step.parameters if _is_missing(p, values, signature)]
        if not missing:
            result[step.operation] = _fitted(step, functions[step.operation], values, signature, problems)
    if missing:
        raise UsageError(
            f"parameters without a value: {', '.join(map('.'.join, missing))}",
            hint=" ".join(f"--param {name}=…" for name in dict.fromkeys(names.get(m, ".".join(m)) for m in missing)),
        )
    if problems:
        raise UsageError("\n".join(problems))
    return result


def _is_missing(parameter: Parameter, values: Mapping[str, object], signature: inspect.Signature) -> bool:
    if parameter.name in values or parameter.default is not REQUIRED:
        return False
    own = signature.parameters.get(parameter.name)
    return parameter.argument is not None or own is None or own.default is inspect.Parameter.empty


def _fitted(
    step: Step,
    function: Callable[..., Any],
    values: Mapping[str, object],
    signature: inspect.Signature,
    problems: list[str],
) -> dict[str, object]:
    hints = _hints(function)
    fitted: dict[str, object] = {}
    for parameter in step.parameters:
        if parameter.argument is not None:
            continue
        if parameter.name in values:
            value = values[parameter.name]
        elif _has_default(signature, parameter.name):
            continue
        else:
            value = parameter.default
        _fit(f"{step.operation}.{parameter.name}", hints.get(parameter.name, Any), value, parameter.name, fitted, problems)
    for argument, entrypoint in step.parameter_objects:
        fields = {p.name: values[p.name] for p in step.parameters if p.argument == argument and p.name in values}
        _fit(f"{step.operation}.{argument}", resolve(entrypoint), fields, argument, fitted, problems)
    return fitted


def _fit(name: str, annotation: Any, value: object, key: str, fitted: dict[str, object], problems: list[str]) -> None:
    try:
        fitted[key] = TypeAdapter(annotation).validate_python(value, by_name=True)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_context=False):
            where = ".".join([name, *map(str, found["loc"])])
            problems.append(f"parameter {where} does not fit: {found['msg']}: {found['input']!r}")
    except PulpoError:
        raise
    except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
        problems.append(f"parameter {name} does not fit: {type(error).__name__}: {error}")


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(inspect.unwrap(function), include_extras=True)
    except Exception:  # noqa: BLE001 - annotations may name what is only there for type checkers
        return {}


def _has_default(signature: inspect.Signature, name: str) -> bool:
    parameter = signature.parameters.get(name)
    return parameter is not None and parameter.default is not inspect.Parameter.empty
