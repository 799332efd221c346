"""From the values that a run was given to the arguments of each function."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pulpo.compile.flow import REQUIRED, FlowDefinition, Parameter, Step
from pulpo.declare.entrypoint import resolve
from pulpo.errors import PulpoError, UsageError
from pulpo.names import did_you_mean


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong with a value, or that there is none."""

    #: What the parameter can be called, the longest name first, the flow's own last.
    names: tuple[str, ...]
    message: str
    #: The place inside the value.
    place: tuple[str | int, ...] = ()
    hint: str | None = None


class ParametersError(UsageError):
    """Values of parameters make no sense, or are missing; `wrong` is all that is."""

    def __init__(self, message: str, wrong: Iterable[Wrong], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.wrong = tuple(wrong)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why a value does not fit a parameter of an operation."""

    parameter: tuple[str, str]
    message: str
    place: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        return f"parameter {'.'.join(map(str, (*self.parameter, *self.place)))} does not fit: {self.message}"


#: Values by operation and parameter.
Assigned = dict[str, dict[str, object]]


def assign(flow: FlowDefinition, given: Mapping[str, object]) -> Assigned:
    """Which parameter of which operation takes which of the values given.

    A name is one of the flow's parameters, or a parameter with as much of its operation's name as makes it unique
    (`fetch.limit`); the longer name wins over the flow's.

    Raises:
        ParametersError: Names are unknown or fit several parameters.
    """
    assigned: Assigned = {}
    if not given:
        return assigned
    named = {parameter.name: parameter.targets for parameter in flow.parameters}
    targets = sorted({(step.operation, parameter.name) for step in flow.steps() for parameter in step.parameters})
    refused: dict[str, UsageError] = {}
    for name, value in sorted(given.items(), key=lambda item: (item[0] not in named, item[0])):
        try:
            for operation, parameter in named.get(name) or [_by_suffix(name, targets, named, flow.name)]:
                assigned.setdefault(operation, {})[parameter] = value
        except UsageError as error:
            refused[name] = error
    if refused:
        wrong = [Wrong((name,), error.message, hint=error.hint) for name, error in refused.items()]
        hints = dict.fromkeys(error.hint for error in refused.values() if error.hint)
        raise ParametersError("\n".join(one.message for one in wrong), wrong, hint="; ".join(hints) or None)
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
        ParametersError: Values are missing or do not fit; all of them are in the one message.
    """
    problems: list[_Problem] = []
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
        own = list(dict.fromkeys(names.get(m, ".".join(m)) for m in missing))
        raise ParametersError(
            f"parameters without a value: {', '.join(map('.'.join, missing))}",
            [Wrong((name,), "is required") for name in own],
            hint=" ".join(f"--param {name}=…" for name in own),
        )
    if problems:
        wrong = [
            Wrong((*_suffixes(one.parameter), names.get(one.parameter, one.parameter[1])), one.message, one.place)
            for one in problems
        ]
        raise ParametersError("\n".join(map(str, problems)), wrong)
    return result


def _suffixes(parameter: tuple[str, str]) -> Iterator[str]:
    """The longer names of an operation's parameter, the longest first: `a.fetch.limit`, `fetch.limit`."""
    parts = ".".join(parameter).split(".")
    yield from (".".join(parts[start:]) for start in range(len(parts) - 1))


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
    problems: list[_Problem],
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
        _fit((step.operation, parameter.name), hints.get(parameter.name, Any), value, fitted, problems)
    for argument, entrypoint in step.parameter_objects:
        fields = {p.name: values[p.name] for p in step.parameters if p.argument == argument and p.name in values}
        _fit((step.operation, argument), resolve(entrypoint), fields, fitted, problems)
    return fitted


def _fit(parameter: tuple[str, str], annotation: Any, value: object, fitted: dict[str, object], problems: list[_Problem]) -> None:
    try:
        fitted[parameter[1]] = TypeAdapter(annotation).validate_python(value, by_name=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        problems += [_Problem(parameter, f"{one['msg']}: {one['input']!r}", one["loc"]) for one in found]
    except PulpoError:
        raise
    except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
        problems.append(_Problem(parameter, f"{type(error).__name__}: {error}"))


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(inspect.unwrap(function), include_extras=True)
    except Exception:  # noqa: BLE001 - annotations may name what is only there for type checkers
        return {}


def _has_default(signature: inspect.Signature, name: str) -> bool:
    parameter = signature.parameters.get(name)
    return parameter is not None and parameter.default is not inspect.Parameter.empty
