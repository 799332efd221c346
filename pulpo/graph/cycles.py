"""The shortest cycle of each knot of operations, in bounded time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

#: An operation, or a flow with the number of its segment.
T = TypeVar("T", str, tuple[str, int])

#: How many edges the search for a shorter cycle may follow in one knot: about a second.
_BUDGET = 2_000_000


def strong_components(successors: Mapping[T, Iterable[T]]) -> list[list[T]]:
    """The strongly connected components that hold a cycle, each sorted, by their first member."""
    import networkx as nx

    graph: nx.DiGraph[T] = nx.DiGraph()
    graph.add_nodes_from(successors)
    graph.add_edges_from((node, successor) for node, those in successors.items() for successor in those)
    components = [sorted(component) for component in nx.strongly_connected_components(graph)]
    return sorted(found for found in components if len(found) > 1 or graph.has_edge(found[0], found[0]))


def shortest_cycles(successors: Mapping[str, Collection[str]]) -> list[list[str]]:
    """One cycle for each strongly connected component, beginning with its smallest member; sorted.

    It is the shortest one, of several the one found from the smallest name; in a component of thousands of operations where
    that takes too long, the shortest one that was found.
    """
    cycles = []
    for component in strong_components(successors):
        members = set(component)
        inside = {node: sorted(members.intersection(successors[node])) for node in component}
        loops = [[node] for node in component if node in inside[node]]
        cycles.append(loops[0] if loops else _Search(inside).shortest())
    return sorted(cycles)


class _Search:
    """Breadth first from each node in turn; a node that is done is taken away, and so is what is then on no cycle."""

    def __init__(self, successors: Mapping[str, list[str]]) -> None:
        self._successors = successors
        self._predecessors: dict[str, list[str]] = {node: [] for node in successors}
        for node, those in successors.items():
            for successor in those:
                self._predecessors[successor].append(node)
        self._alive = set(successors)
        self._steps = 0

    def shortest(self) -> list[str]:
        best: list[str] = []
        for start in sorted(self._successors):
            if len(best) == 2 or (best and self._steps > _BUDGET):  # noqa: PLR2004 - without self-loops none is shorter
                break
            if start in self._alive:
                best = self._through(start, len(best) if best else len(self._successors) + 1) or best
                self._remove(start)
        return best

    def _through(self, start: str, limit: int) -> list[str] | None:
        """The shortest cycle through a node, where it has fewer than `limit` nodes."""
        came_from = {start: ""}
        layer = [start]
        length = 1
        while layer and length < limit:
            following = []
            for node in layer:
                for successor in self._successors[node]:
                    self._steps += 1
                    if successor == start:
                        return _path(came_from, node)
                    if successor in self._alive and successor not in came_from:
                        came_from[successor] = node
                        following.append(successor)
            layer = following
            length += 1
        return None

    def _remove(self, node: str) -> None:
        gone = deque([node])
        while gone:
            node = gone.popleft()
            if node not in self._alive:
                continue
            self._alive.discard(node)
            for near, back in ((self._successors, self._predecessors), (self._predecessors, self._successors)):
                gone.extend(n for n in near[node] if n in self._alive and self._alive.isdisjoint(back[n]))


def _path(came_from: Mapping[str, str], node: str) -> list[str]:
    path = [node]
    while came_from[path[-1]]:
        path.append(came_from[path[-1]])
    return path[::-1]
