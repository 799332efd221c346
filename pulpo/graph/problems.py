"""What can be wrong with a data flow: names that lead nowhere, cycles, updaters in an order that nobody stated."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic, Related, Severity
from pulpo.graph.dependencies import stated_precedence
from pulpo.graph.roles import AfterIndex, unknown_operation
from pulpo.graph.updates import Ancestry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pulpo.diagnostics import Path
    from pulpo.graph.dependencies import Dependency, Sources
    from pulpo.graph.roles import Operations

#: A message shows a cycle whole up to this length; the related places always have all of it.
_SHOWN = 12


def reference_problems(operations: Operations) -> list[Diagnostic]:
    """PLP202 for every name in `after` and in a recorded `from` that leads nowhere."""
    found = AfterIndex(operations).problems()
    for name, spec in operations.items():
        for parameter, given in spec.inputs.items():
            for index, source in enumerate(given.sources or ()):
                if source not in operations:
                    path = ("operations", name, "inputs", parameter, "from", index)
                    found.append(unknown_operation(source, list(operations), path))
    return found


def cycle_problems(dependents: Mapping[str, Sequence[str]], edges: Sequence[Dependency]) -> list[Diagnostic]:
    """PLP206 for each knot of operations that wait for each other: its shortest cycle, in order."""
    from pulpo.graph.cycles import shortest_cycles

    by_pair: dict[tuple[str, str], Dependency] = {}
    for edge in reversed(edges):
        by_pair[edge.producer, edge.consumer] = edge
    found = []
    for cycle in shortest_cycles(dependents):
        steps = [by_pair[pair] for pair in pairwise([*cycle, cycle[0]])]
        found.append(
            Diagnostic(
                "PLP206",
                f"the operations wait for each other: {_drawn(cycle)}",
                path=("operations", cycle[0]),
                hint=_ways_out(steps),
                related=tuple(Related(_reason(step), path=_place(step)) for step in [steps[-1], *steps[:-1]]),
            )
        )
    return found


def _drawn(cycle: Sequence[str]) -> str:
    shown = [*cycle, cycle[0]]
    if len(cycle) > _SHOWN:
        shown = [*cycle[: _SHOWN - 2], f"… ({len(cycle) - _SHOWN + 1} more)", cycle[-1], cycle[0]]
    return " → ".join(shown)


def _reason(step: Dependency) -> str:
    if step.kind == "value":
        return f"{step.consumer} takes {step.model} from {step.producer}"
    if step.model is None:
        return f"{step.consumer} runs after {step.producer}"
    return f"{step.consumer} runs after {step.producer}, since both read or write {step.model}"


def _place(step: Dependency) -> Path:
    if step.parameter is not None:
        return ("operations", step.consumer, "inputs", step.parameter)
    return ("operations", step.consumer, "after") if step.model is None else ("operations", step.consumer)


def _ways_out(steps: Sequence[Dependency]) -> str:
    ways = []
    values = sorted({step.model for step in steps if step.kind == "value" and step.model})
    if values:
        ways.append("let one of them return another model")
        ways.append(f"take what the last run stored with `Previous[{values[0]}]`")
    if any(step.kind == "order" and step.model is None for step in steps):
        ways.append("drop an `after`")
    if any(step.kind == "order" and step.model is not None for step in steps):
        ways.append("state the order with `after` or `From`, or name other models in `models_in` and `models_out`")
    return "; or ".join(ways)


def update_problems(operations: Operations, sources: Sources, chains: Mapping[str, Sequence[str]]) -> list[Diagnostic]:
    """PLP209 for each model with updaters whose order nothing but the lock's states."""
    several = {model: chain for model, chain in chains.items() if len(chain) > 1}
    if not several:
        return []
    updaters = {name for chain in several.values() for name in chain}
    stated = Ancestry(stated_precedence(operations, sources, chains), updaters)
    found = []
    for model, chain in several.items():
        loose = [(first, second) for first, second in pairwise(chain) if not stated.precedes(first, second)]
        if loose:
            found.append(_loose_order(model, chain, *loose[0]))
    return found


def _loose_order(model: str, chain: Sequence[str], first: str, second: str) -> Diagnostic:
    return Diagnostic(
        "PLP209",
        f"several operations update {model}, one after the other in the order of the lock: {', '.join(chain)}",
        path=("operations", second),
        severity=Severity.WARNING,
        hint=f'if the order matters, state it: after=["{first}"]',
        related=tuple(Related(f"{name} updates {model}", path=("operations", name)) for name in chain),
    )
