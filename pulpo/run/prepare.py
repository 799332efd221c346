"""Before a run begins: user code imported, parameters fitted, everything that can be wrong already found out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any, NamedTuple, TypeVar

from pulpo.compile.flow import FlowDefinition, Step
from pulpo.declare.entrypoint import resolve
from pulpo.diagnostics import Diagnostic
from pulpo.errors import DiagnosticsError, UsageError
from pulpo.manifest.held_schema import schema_problem
from pulpo.manifest.model import ModelSpec
from pulpo.run import beanie
from pulpo.run.call import Function
from pulpo.run.codec import Codec
from pulpo.run.outputs import Outlet
from pulpo.run.parameters import Assigned, arguments

T = TypeVar("T")

_NOT_BY_NAME = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)


class ReadyStep(NamedTuple):
    """A step that can be called."""

    step: Step
    function: Function
    outlet: Outlet
    #: Arguments that are no records.
    parameters: Mapping[str, object]


async def codecs_of(steps: Sequence[Step], models: Mapping[str, ModelSpec]) -> dict[str, Codec]:
    """The codecs of all models that the steps take or return; their classes are imported.

    Raises:
        DiagnosticsError: Classes can't be imported (PLP116), or what stands for one is no JSON Schema (PLP114); all of
            them, at paths of the manifest.
        UsageError: The manifest does not have a model.
    """
    taken = {argument.model for step in steps for argument in step.arguments}
    made = {output.model for step in steps for output in step.outputs}
    names = sorted(taken | made)
    if unknown := [name for name in names if name not in models]:
        raise UsageError(f"the manifest does not have this model: {unknown[0]}", hint="run `pulpo lock`")
    _check_schemas({name: models[name].json_schema for name in names if not models[name].entrypoint})
    codecs = _each("models", names, lambda name: Codec(name, models[name]))
    await beanie.initialise({codec.cls: codec.collection.name for codec in codecs.values()})
    return codecs


def ready_steps(
    flow: FlowDefinition, codecs: Mapping[str, Codec], assigned: Assigned, *, run: str, root: str, skipped: Collection[str]
) -> dict[str, ReadyStep]:
    """The steps of a flow, but those `skipped`, ready to be called; their functions are imported.

    Raises:
        DiagnosticsError: Functions can't be imported (PLP116), all of them, at paths of the manifest.
        UsageError: Functions no longer take what the lock says, or parameters are missing or do not fit.
    """
    steps = {step.operation: step for step in flow.steps() if step.operation not in skipped}
    functions = _each("operations", list(steps), lambda name: _function(steps[name]))
    _check_signatures(steps, functions)
    names = {target: parameter.name for parameter in flow.parameters for target in parameter.targets}
    values = arguments(functions, steps.values(), assigned, names)
    return {
        name: ReadyStep(
            step,
            Function(name, functions[name], step.is_async, step.settings),
            Outlet(name, step.outputs, tuple(codecs[output.model] for output in step.outputs), run, root),
            values[name],
        )
        for name, step in steps.items()
    }


def _each(section: str, names: Iterable[str], make: Callable[[str], T]) -> dict[str, T]:
    """What `make` gives for each entry of a section of the manifest; the entrypoints that it refuses, all in one error."""
    made: dict[str, T] = {}
    problems: list[Diagnostic] = []
    for name in names:
        try:
            made[name] = make(name)
        except UsageError as error:
            problems.append(Diagnostic("PLP116", error.message, (section, name, "entrypoint"), hint=error.hint))
    if problems:
        raise DiagnosticsError(problems)
    return made


def _check_schemas(schemas: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse models without a class whose schema is none."""
    bad = {name: problem for name, schema in schemas.items() if (problem := schema_problem(schema))}
    if bad:
        raise DiagnosticsError(
            [Diagnostic("PLP114", f"no JSON Schema: {p}", ("models", name, "schema")) for name, p in bad.items()]
        )


def _check_signatures(steps: Mapping[str, Step], functions: Mapping[str, Callable[..., Any]]) -> None:
    stale = {name: _not_taken(step, functions[name]) for name, step in steps.items()}
    lines = [f"the code of {name} no longer takes: {', '.join(unknown)}" for name, unknown in stale.items() if unknown]
    if lines:
        raise UsageError("\n".join(lines), hint="run `pulpo lock`")


def _not_taken(step: Step, function: Callable[..., Any]) -> list[str]:
    """The arguments by name that the lock would call the function with, and that it does not have."""
    given = [argument.name for argument in step.arguments]
    given += [parameter.name for parameter in step.parameters if parameter.argument is None]
    given += [name for name, _ in step.parameter_objects]
    if not given or (type(function) is FunctionType and not vars(function) and set(given) <= set(_by_name(function))):
        return []
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # of what is written in C nobody knows
        return []
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return []
    return [name for name in given if name not in parameters or parameters[name].kind in _NOT_BY_NAME]


def _by_name(function: FunctionType) -> tuple[str, ...]:
    """The names of its parameters that can be given by name; much faster than its signature."""
    code = function.__code__
    return code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]


def _function(step: Step) -> Callable[..., Any]:
    function: Callable[..., Any] = resolve(step.entrypoint)
    if not callable(function):
        raise UsageError(f"{step.entrypoint} is no function, but {type(function).__name__}")
    return function
