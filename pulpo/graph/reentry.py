"""The path on which a flow is left and re-entered."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic, Related, Severity
from pulpo.graph.quotient import edges_between, group_by_child
from pulpo.names import PIPELINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pulpo.graph.dataflow import DataFlow


def reentry_problem(flow: DataFlow, name: str) -> Diagnostic | None:
    """PLP210: the path that leaves a flow and re-enters it, or None where it is only split since the flow around it is."""
    inside = {operation for operation in flow.operations if operation.startswith(f"{name}.")}
    path = _way_back(sorted(inside), lambda operation: operation in inside, lambda operation: flow.dependents[operation])
    hops = list(pairwise(path)) if path else _between_siblings(flow, name)
    if not hops:
        return None
    return Diagnostic(
        "PLP210",
        f"the flow is left and re-entered, so it runs in parts: {_drawn(hops)}",
        path=("flows", name),
        severity=Severity.WARNING,
        hint=f"by renaming, move what is between into {name}, or what comes after it into another flow",
        related=tuple(Related(f"{after} waits for {before}", path=("operations", after)) for before, after in hops),
    )


def _between_siblings(flow: DataFlow, name: str) -> list[tuple[str, str]]:
    """The way back from sibling to sibling, where no single chain of operations goes it; an edge for each hop."""
    parent = name.rpartition(".")[0] or PIPELINE
    around = [operation for operation in flow.operations if parent == PIPELINE or operation.startswith(f"{parent}.")]
    groups = group_by_child(parent, around)
    sibling_of = {operation: child for child, names in groups.items() for operation in names}
    dependents = edges_between(sibling_of, flow.dependents)
    path = _way_back([name], lambda sibling: sibling == name, lambda sibling: sorted(dependents[sibling]))
    return [
        next(
            (operation, dependent)
            for operation in groups[before]
            for dependent in flow.dependents[operation]
            if sibling_of.get(dependent) == after
        )
        for before, after in pairwise(path)
    ]


def _way_back(starts: Iterable[str], inside: Callable[[str], bool], following: Callable[[str], Iterable[str]]) -> list[str]:
    """The shortest path that leaves `inside` and comes back, or nothing; breadth first, so linear."""
    came_from: dict[str, str] = {}
    layer = []
    for start in starts:
        for node in following(start):
            if not inside(node) and node not in came_from:
                came_from[node] = start
                layer.append(node)
    while layer:
        next_layer = []
        for node in layer:
            for successor in following(node):
                if inside(successor):
                    return [*_traced(came_from, node, inside), successor]
                if successor not in came_from:
                    came_from[successor] = node
                    next_layer.append(successor)
        layer = next_layer
    return []


def _traced(came_from: dict[str, str], node: str, inside: Callable[[str], bool]) -> list[str]:
    path = [node]
    while not inside(path[-1]):
        path.append(came_from[path[-1]])
    return path[::-1]


def _drawn(hops: list[tuple[str, str]]) -> str:
    """`a.x → b.y → a.z`, or with a comma where the next hop begins at another operation: `a.x → b.y, b.w → a.z`."""
    text = " → ".join(hops[0])
    for (_, before), (start, end) in pairwise(hops):
        text += f" → {end}" if start == before else f", {start} → {end}"
    return text
