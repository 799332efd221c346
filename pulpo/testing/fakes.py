"""Fakes: what stands for an operation's function in a test, called as the function would be."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pulpo.compile.flow import REQUIRED, FlowDefinition, Step
from pulpo.errors import UsageError
from pulpo.run.parameters import Assigned
from pulpo.run.prepare import ReadyStep

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True)
class Fake:
    """What is called in place of one operation's function."""

    operation: str
    function: Callable[..., Any]
    #: The arguments that it takes; None for any.
    takes: frozenset[str] | None

    def takes_argument(self, name: str) -> bool:
        """Whether the argument is handed to it."""
        return self.takes is None or name in self.takes

    def put_into(self, ready: ReadyStep) -> ReadyStep:
        """The step with the fake in place of its function."""
        defaults = {p.name: p.default for p in ready.step.parameters if p.argument is None and p.default is not REQUIRED}
        arguments = partial(self._arguments, defaults)
        is_async = inspect.iscoroutinefunction(self.function)
        function = partial(_call_async if is_async else _call, self.function, arguments)
        return ready._replace(function=ready.function._replace(function=function, is_async=is_async))

    def _arguments(self, defaults: Mapping[str, object], values: Mapping[str, object]) -> dict[str, object]:
        return {name: value for name, value in {**defaults, **values}.items() if self.takes_argument(name)}


def fake_of(operation: str, given: object) -> Fake:
    """The fake that a test gives: a function, an exception to raise, or what is returned each time."""
    if isinstance(given, BaseException) or (isinstance(given, type) and issubclass(given, BaseException)):
        return Fake(operation, partial(_raise, given), frozenset())
    if callable(given):
        return Fake(operation, given, _taken(operation, given))
    return Fake(operation, lambda: given, frozenset())


def check_fakes(flow: FlowDefinition, fakes: Mapping[str, Fake]) -> None:
    """See that fakes ask for nothing that their operations are not given.

    Raises:
        UsageError: One does.
    """
    for step in flow.steps():
        fake = fakes.get(step.operation)
        known = _given(step)
        for name in sorted(_required(fake.function) - known) if fake else ():
            listed = ", ".join(sorted(known)) or "nothing"
            raise UsageError(
                f"the fake of {step.operation} asks for an argument that is not given: {name}", hint=f"given: {listed}"
            )


def for_tests(flow: FlowDefinition, fakes: Mapping[str, Fake], assigned: Assigned) -> FlowDefinition:
    """The flow as a test runs it: retries don't wait, and a parameter need have no value where the fake does not ask for it."""
    members = tuple(
        for_tests(m, fakes, assigned) if isinstance(m, FlowDefinition) else _step(m, fakes.get(m.operation), assigned)
        for m in flow.members
    )
    left = {(step.operation, p.name) for m in members for step in _steps(m) for p in step.parameters}
    parameters = (replace(p, targets=tuple(t for t in p.targets if t in left)) for p in flow.parameters)
    return replace(flow, members=members, parameters=tuple(p for p in parameters if p.targets))


def _steps(member: Step | FlowDefinition) -> list[Step]:
    return [member] if isinstance(member, Step) else list(member.steps())


def _step(step: Step, fake: Fake | None, assigned: Assigned) -> Step:
    step = replace(step, settings=replace(step.settings, retry_delay=0.0))
    if fake is None:
        return step
    needed = {*assigned.get(step.operation, ()), *_required(fake.function)}
    kept = tuple(p for p in step.parameters if p.default is not REQUIRED or needed & {p.name, p.argument})
    incomplete = {p.argument for p in step.parameters if p not in kept}
    objects = (o for o in step.parameter_objects if fake.takes_argument(o[0]) and o[0] not in incomplete)
    return replace(step, parameters=kept, parameter_objects=tuple(objects))


def _given(step: Step) -> set[str]:
    names = {argument.name for argument in step.arguments} | {name for name, _ in step.parameter_objects}
    return names | {parameter.name for parameter in step.parameters if parameter.argument is None}


def _taken(operation: str, function: Callable[..., Any]) -> frozenset[str] | None:
    """Raises UsageError where it takes an argument by its place."""
    parameters = _parameters(function)
    if any(p.kind is p.POSITIONAL_ONLY and p.default is p.empty for p in parameters):
        raise UsageError(f"the fake of {operation} takes arguments by place; they are given by name")
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters if p.kind in _BY_NAME)


def _required(function: Callable[..., Any]) -> set[str]:
    return {p.name for p in _parameters(function) if p.kind in _BY_NAME and p.default is p.empty}


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # of what is written in C nobody knows
        return []


def _call(function: Callable[..., Any], arguments: Callable[[dict[str, object]], dict[str, object]], **values: object) -> Any:
    return function(**arguments(values))


async def _call_async(
    function: Callable[..., Any], arguments: Callable[[dict[str, object]], dict[str, object]], **values: object
) -> Any:
    return await function(**arguments(values))


def _raise(error: BaseException | type[BaseException]) -> None:
    raise error
