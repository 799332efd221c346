"""One or many: how records come into each parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic, Related
from pulpo.graph.order import topological_order
from pulpo.manifest.model import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pulpo.graph.roles import Operations
    from pulpo.manifest.model import InputSpec

#: Modes that the shape of the annotation says, whatever comes in.
SHAPED = frozenset({Mode.ALL, Mode.KEYED, Mode.PREVIOUS})


def infer_modes(
    operations: Operations, sources: Mapping[tuple[str, str], Sequence[str]]
) -> tuple[dict[tuple[str, str], Mode], list[Diagnostic]]:
    """The mode of each input with its producers in `sources`, and PLP205 and PLP212 by operation.

    An operation that runs once per record returns many, so producers are looked at before their consumers.
    """
    many = _many_outputs(operations)
    before: dict[str, set[str]] = {name: set() for name in operations}
    for (name, _), producers in sources.items():
        before[name].update(producers)
    order, cyclic = topological_order(before)
    modes: dict[tuple[str, str], Mode] = {}
    diagnostics = []
    mapped: set[str] = set()
    for name in [*order, *cyclic]:
        each = []
        for parameter, given in operations[name].inputs.items():
            producers = sources.get((name, parameter), ())
            mode = modes[name, parameter] = _mode(given, producers, many, mapped)
            if mode is Mode.EACH:
                each.append(parameter)
            elif mode is Mode.KEYED and not given.many:
                diagnostics += [
                    _many_for_one(name, parameter, given, p) for p in producers if (p, given.model) in many or p in mapped
                ]
        if each:
            mapped.add(name)
        if len(each) > 1:
            diagnostics.append(_two_each(name, each, operations))
    return modes, diagnostics


def _many_outputs(operations: Operations) -> set[tuple[str, str]]:
    many: set[tuple[str, str]] = set()
    for name, spec in operations.items():
        once: set[str] = set()
        for output in spec.outputs:
            if output.many or output.model in once:
                many.add((name, output.model))
            once.add(output.model)
    return many


def _mode(given: InputSpec, producers: Sequence[str], many: set[tuple[str, str]], mapped: set[str]) -> Mode:
    if given.mode in SHAPED:
        return given.mode
    if not producers:
        return given.mode or Mode.ONE
    if len(producers) > 1 or (producers[0], given.model) in many or producers[0] in mapped:
        return Mode.EACH
    return Mode.ONE


def _many_for_one(name: str, parameter: str, given: InputSpec, producer: str) -> Diagnostic:
    return Diagnostic(
        "PLP212",
        f"one {given.model} is asked for by producer name, but this one makes many: {producer}",
        path=("operations", name, "inputs", parameter),
        hint=f"take `dict[str, list[{given.model}]]`",
        related=(Related(f"{producer} makes many", path=("operations", producer, "outputs")),),
    )


def _two_each(name: str, parameters: Sequence[str], operations: Operations) -> Diagnostic:
    inputs = operations[name].inputs
    last = parameters[-1]
    return Diagnostic(
        "PLP205",
        f"records would come one by one into several parameters, as pairs or in all combinations: {', '.join(parameters)}",
        path=("operations", name, "inputs"),
        hint=f"take one of them whole, such as `{last}: list[{inputs[last].model}]`",
        related=tuple(
            Related(f"{name} runs once per {inputs[parameter].model}", path=("operations", name, "inputs", parameter))
            for parameter in parameters
        ),
    )
