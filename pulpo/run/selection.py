"""A part of a flow as a flow of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

from pulpo.compile.flow import FlowDefinition, Step


def restricted(flow: FlowDefinition, operations: Collection[str]) -> FlowDefinition:
    """The flow with these operations alone, in its order and without subflows.

    What an operation takes from one that is left out comes from outside. The order between two that stay holds also where
    it went through one that is left out.
    """
    kept: dict[str, Step] = {}
    waits: dict[str, frozenset[str]] = {}
    for step in flow.steps():
        before = frozenset[str]().union(*({name} if name in operations else waits[name] for name in step.after))
        waits[step.operation] = before
        if step.operation in operations:
            arguments = tuple(
                dataclasses.replace(a, sources=tuple(s for s in a.sources if s in operations)) for a in step.arguments
            )
            kept[step.operation] = dataclasses.replace(step, arguments=arguments, after=tuple(sorted(before)))
    return dataclasses.replace(
        flow,
        members=tuple(kept.values()),
        operations=tuple(kept),
        dependencies={name: step.after for name, step in kept.items()},
        parameters=tuple(
            dataclasses.replace(parameter, targets=targets)
            for parameter in flow.parameters
            if (targets := tuple(t for t in parameter.targets if t[0] in operations))
        ),
    )


def dependents(steps: Mapping[str, Step]) -> dict[str, tuple[str, ...]]:
    """For each operation those that wait for it, in the order of the steps."""
    found: dict[str, list[str]] = {name: [] for name in steps}
    for step in steps.values():
        for name in step.after:
            found[name].append(step.operation)
    return {name: tuple(names) for name, names in found.items()}
