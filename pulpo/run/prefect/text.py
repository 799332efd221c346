"""What the generated text says, read without running it, and whether the lock still says the same."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefect import Flow
from prefect.task_runners import TaskRunner

from pulpo.compile.codegen import delays_of, order_only
from pulpo.compile.deployment import ORCHESTRATION
from pulpo.compile.flow import FlowDefinition, Step
from pulpo.compile.orchestration import OrchestrationCompiler
from pulpo.compile.task_runner import task_runner_of
from pulpo.declare.entrypoint import resolve
from pulpo.errors import UsageError
from pulpo.manifest.flow import FlowSpec
from pulpo.names import PIPELINE, lies_in
from pulpo.run.prefect.task_runners import Elsewhere
from pulpo.run.prefect.tasks import function_of
from pulpo.run.prefect.wiring import Member, Wire

#: Where the members go of a flow that is called to be read.
_READER: contextvars.ContextVar[list[Member] | None] = contextvars.ContextVar("pulpo_reader", default=None)


def being_read(members: Sequence[Member]) -> bool:
    """Whether the flow whose body this is was only called to tell its members; they are then noted."""
    reader = _READER.get()
    if reader is not None:
        reader.extend(members)
    return reader is not None


@dataclass(slots=True)
class Text:
    """All that hangs under one flow of the text."""

    #: By operation.
    steps: dict[str, Member] = field(default_factory=dict)
    #: What the task of each operation calls.
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    #: The operations below each subflow, by its function.
    below: dict[Callable[..., Any], frozenset[str]] = field(default_factory=dict)
    #: By flow.
    runners: dict[str, TaskRunner[Any]] = field(default_factory=dict)


async def read(members: Sequence[Member]) -> Text:
    """Reads the members of a flow, and those of its subflows: their bodies are called, and nothing in them runs."""
    text = Text()
    for member in members:
        if not isinstance(member.callee, Flow):
            text.steps[member.callee.name] = member
            text.functions[member.callee.name] = await function_of(member.callee)
            continue
        inner = await read(await _members_of(member))
        text.steps |= inner.steps
        text.functions |= inner.functions
        text.below |= inner.below
        text.runners |= {**inner.runners, member.callee.name: member.callee.task_runner}
        text.below[member.callee.fn] = frozenset(inner.steps)
    return text


async def _members_of(subflow: Member) -> list[Member]:
    found: list[Member] = []
    token = _READER.set(found)
    try:
        await subflow.callee.fn(**subflow.values)
    finally:
        _READER.reset(token)
    return found


def check(flow: str, text: Text, compiler: OrchestrationCompiler) -> None:
    """Compares the text of a flow with what the lock says of it.

    Raises:
        UsageError: They differ, so that the text would run something else; or the lock names a function that is not there.
    """
    differences = list(_differences(text, compiler.operations_of(flow), compiler))
    differences += _other_runners(text, compiler.manifest.flows)
    if differences:
        more = f"; and {len(differences) - 1} more" if len(differences) > 1 else ""
        raise UsageError(
            f"the text of the flow {flow} in {ORCHESTRATION} is older than the lock: {differences[0]}{more}",
            hint="run `pulpo compile`",
        )


def _differences(text: Text, operations: Sequence[str], compiler: OrchestrationCompiler) -> Iterator[str]:
    yield from (f"it has no {name}" for name in sorted(set(operations) - set(text.steps)))
    yield from (f"the lock has no {name}" for name in sorted(set(text.steps) - set(operations)))
    for operation in operations:
        if operation in text.steps:
            step = compiler.step(operation)
            yield from _differences_of(text.steps[operation], step)
            if text.functions[operation] is not resolve(step.entrypoint):
                yield f"the function of {operation}"


def _other_runners(text: Text, flows: Mapping[str, FlowSpec]) -> Iterator[str]:
    for flow, written in text.runners.items():
        declared = task_runner_of(flows, flow)
        if (written.said if isinstance(written, Elsewhere) else None) != declared:
            yield f"the task runner of {flow}"


def _differences_of(member: Member, declared: Step) -> Iterator[str]:
    name, task, settings = declared.operation, member.callee, declared.settings
    wires = {a.name: Wire(a.mode, a.producers) for a in declared.arguments}
    for argument in sorted({*wires, *member.wires}):
        if wires.get(argument) != member.wires.get(argument):
            yield f"where {argument} of {name} comes from"
    if set(member.waits) != set(order_only(declared)):
        yield f"what {name} comes after"
    if isinstance(task, Flow):
        return
    if (task.retries or 0) != (settings.retries or 0):
        yield f"retries of {name}"
    if task.retries and task.retry_delay_seconds != delays_of(settings):
        yield f"retry_delay of {name}"
    if task.timeout_seconds != settings.timeout:
        yield f"timeout of {name}"


def home_of(flow: FlowDefinition, compiler: OrchestrationCompiler) -> str:
    """The smallest flow of the text that has all operations of `flow`, which may be a part of one, or one operation."""
    name = flow.name
    names = compiler.flow_names()
    while name and (name not in names or not all(lies_in(operation, name) for operation in flow.operations)):
        name = name.rpartition(".")[0]
    return name or PIPELINE
