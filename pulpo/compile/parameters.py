"""Parameters of operations, merged into the parameters of a flow."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pulpo.compile.flow import REQUIRED, FlowParameter, Parameter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pulpo.compile.flow import Step
    from pulpo.manifest.model import OperationSpec


def parameters_of(spec: OperationSpec) -> tuple[Parameter, ...]:
    """The parameters of an operation, in the manifest's order."""
    return tuple(
        Parameter(name, p.json_schema, REQUIRED if p.required else p.default, p.argument, p.description)
        for name, p in spec.parameters.items()
    )


def flow_parameters(steps: Iterable[Step]) -> tuple[FlowParameter, ...]:
    """One parameter a name where all operations agree on type and default, else one an operation, sorted by name.

    Where they differ, the name has as much of the operation's name in front as makes it unique: `fetch.limit`.
    """
    by_name: dict[str, list[tuple[str, Parameter]]] = defaultdict(list)
    for step in steps:
        for parameter in step.parameters:
            by_name[parameter.name].append((step.operation, parameter))
    result: list[FlowParameter] = []
    for name, uses in by_name.items():
        uses.sort(key=lambda use: use[0])
        first = uses[0][1]
        if all(_agree(first, parameter) for _, parameter in uses):
            result.append(_merged(name, first, tuple((operation, name) for operation, _ in uses)))
        else:
            suffixes = unique_suffixes([operation for operation, _ in uses])
            result += [_merged(f"{suffixes[op]}.{name}", parameter, ((op, name),)) for op, parameter in uses]
    return tuple(sorted(result, key=lambda p: p.name))


def _merged(name: str, parameter: Parameter, targets: tuple[tuple[str, str], ...]) -> FlowParameter:
    return FlowParameter(name, targets, parameter.schema, parameter.default, parameter.description)


def _agree(a: Parameter, b: Parameter) -> bool:
    # `True == 1` in Python, but not as a default of a run.
    return a.schema == b.schema and type(a.default) is type(b.default) and a.default == b.default


def unique_suffixes(names: Iterable[str]) -> dict[str, str]:
    """For each dotted name its shortest ending, in whole segments, that no other of the names ends with."""
    all_names = sorted(set(names))
    count: dict[str, int] = defaultdict(int)
    endings = {name: [".".join(name.split(".")[i:]) for i in reversed(range(name.count(".") + 1))] for name in all_names}
    for name in all_names:
        for ending in endings[name]:
            count[ending] += 1
    return {name: next((e for e in endings[name] if count[e] == 1), name) for name in all_names}
